"""The stages: one runner, and the wiring of each."""
