"""The tables' engine: sessions, scans, content hashes, atomic publishing, fingerprints."""

from spanishgas.engine.session import Engine, open_engine

__all__ = ["Engine", "open_engine"]
