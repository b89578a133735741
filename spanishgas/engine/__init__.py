"""The tables' engine: sessions, scans, content hashes, atomic publishing, fingerprints, look-ups by customer."""
