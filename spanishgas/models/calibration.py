"""Platt scaling of window hazards: one slope for all windows, an intercept for each.

A slope per window has too little to go by; the union is never calibrated by itself, so that risk and timing stay one
model. Method: Platt, 1999, on the logit, with rows still at risk only.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
CLIP = 1e-7
STEPS = 50
TOLERANCE = 1e-10
# A little pull towards the identity: keeps few leavers from giving wild lines.
PRIOR = 1.0
MIN_LEAVERS = 10


@dataclass(frozen=True)
class WindowCalibration:
    """A line on the logit.

    Attributes:
        slope: Common slope.
        intercepts: One per window.
    """

    slope: float
    intercepts: tuple[float, ...]

    @classmethod
    def identity(cls, windows: int) -> "WindowCalibration":
        """No change."""
        return cls(1.0, (0.0,) * windows)

    @classmethod
    def fit(
        cls, hazard: Floats, window: npt.NDArray[np.int64], outcome: Floats, weight: Floats, windows: int
    ) -> "WindowCalibration":
        """Fits the line by penalised Newton steps; with fewer than ten leavers it stays the identity."""
        if outcome.sum() < MIN_LEAVERS:
            return cls.identity(windows)
        design = np.column_stack([_logit(hazard), np.eye(windows)[window]])
        target = np.r_[1.0, np.zeros(windows)]
        line = target.copy()
        for _ in range(STEPS):
            p = 1 / (1 + np.exp(-(design @ line)))
            gradient = design.T @ (weight * (outcome - p)) - PRIOR * (line - target)
            curve = (design * (weight * p * (1 - p))[:, None]).T @ design + PRIOR * np.eye(len(line))
            step = np.linalg.solve(curve, gradient)
            line = line + np.clip(step, -1.0, 1.0)
            if np.abs(step).max() < TOLERANCE:
                break
        return cls(float(line[0]), tuple(float(value) for value in line[1:]))

    def apply(self, hazards: Floats) -> Floats:
        """Calibrated hazards, shape (rows, windows)."""
        return np.asarray(1 / (1 + np.exp(-(self.slope * _logit(hazards) + np.array(self.intercepts)))))


def _logit(hazard: Floats) -> Floats:
    safe = np.clip(hazard, CLIP, 1 - CLIP)
    return np.asarray(np.log(safe / (1 - safe)))
