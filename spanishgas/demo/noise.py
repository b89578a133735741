"""Random numbers that are a function of what they are for.

Every draw is a hash of (seed, purpose, indices). Nothing depends on the order or the size of the blocks in which
numbers are drawn, so a world that is continued, cut into other blocks or drawn in parallel repeats its earlier rows
exactly.
Method: the finaliser of SplitMix64 (Steele, Lea and Flood, 2014) over the mixed indices; normals by Box and Muller.
"""

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_M1 = np.uint64(0xBF58476D1CE4E5B9)
_M2 = np.uint64(0x94D049BB133111EB)
_TO_UNIT = 1.0 / (1 << 53)


def _mix(state: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    state ^= state >> np.uint64(30)
    state *= _M1
    state ^= state >> np.uint64(27)
    state *= _M2
    state ^= state >> np.uint64(31)
    return state


class Noise:
    """Draws for one world.

    Args:
        seed: Seed of the world.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def _hash(self, purpose: str, indices: tuple[Any, ...]) -> npt.NDArray[np.uint64]:
        key = hashlib.blake2b(f"{self.seed}/{purpose}".encode(), digest_size=8).digest()
        state: Any = np.asarray(np.uint64(int.from_bytes(key, "big")))
        with np.errstate(over="ignore"):
            for index in indices:
                state = _mix((state + np.asarray(index).astype(np.uint64)) * _GOLDEN + _GOLDEN)
        return np.asarray(state)

    def uniform(self, purpose: str, *indices: Any) -> Floats:
        """Uniform numbers in (0, 1), one per element of the broadcast integer indices."""
        bits = self._hash(purpose, indices) >> np.uint64(11)
        return (bits.astype(np.float64) + 0.5) * _TO_UNIT

    def normal(self, purpose: str, *indices: Any) -> Floats:
        """Standard normal numbers."""
        bits = self._hash(purpose, indices)
        radius = np.sqrt(-2.0 * np.log(((bits >> np.uint64(32)).astype(np.float64) + 0.5) * 2.0**-32))
        angle = (bits & np.uint64(0xFFFFFFFF)).astype(np.float64) * (2.0 * np.pi * 2.0**-32)
        return np.asarray(radius * np.cos(angle))

    def choice(self, purpose: str, shares: npt.ArrayLike, *indices: Any) -> npt.NDArray[np.int64]:
        """Positions drawn with the given shares (they need not sum to 1)."""
        edges = np.cumsum(np.asarray(shares, dtype=np.float64))
        return np.searchsorted(edges / edges[-1], self.uniform(purpose, *indices), side="right").clip(0, len(edges) - 1)
