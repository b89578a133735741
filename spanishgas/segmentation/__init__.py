"""Segmentation: who is alike, described in plain words, with identities that last."""

from spanishgas.segmentation.model import SegmentModel
from spanishgas.segmentation.refresh import Refresh, refresh

__all__ = ["Refresh", "SegmentModel", "refresh"]
