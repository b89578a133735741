"""A seeded, realistic retailer: the raw files, and apart from them the ground truth."""

from spanishgas.demo.world import World, build_world, hourly_blocks

__all__ = ["World", "build_world", "hourly_blocks"]
