"""Rows at risk as XGBoost's bins, made batch by batch, so that they never lie in memory as numbers."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from spanishgas.models.hazard import PersonPeriods

if TYPE_CHECKING:
    import xgboost

BATCH = 100_000


def binned(
    numbers: npt.NDArray[np.float32],
    periods: PersonPeriods,
    names: Sequence[str],
    bins: "xgboost.DMatrix | None" = None,
) -> "xgboost.QuantileDMatrix":
    """Rows at risk, one byte or two per value.

    Args:
        numbers: Encoded features, shape (rows, features).
        periods: Rows at risk: positions in ``numbers``, windows, outcomes, weights.
        names: Names of the features, and of the window last.
        bins: Rows whose bins to take, those of training for rows that tell when to stop; None finds them.
    """
    import xgboost

    class Batches(xgboost.DataIter):
        """Batches of rows at risk; XGBoost asks for all of them several times."""

        start = 0

        def next(self, input_data: Callable[..., None]) -> bool:
            if self.start >= len(periods.row):
                return False
            some = slice(self.start, self.start + BATCH)
            rows = np.empty((len(periods.row[some]), numbers.shape[1] + 1), np.float32)
            rows[:, :-1] = numbers[periods.row[some]]
            rows[:, -1] = periods.window[some]
            input_data(data=rows, label=periods.outcome[some], weight=periods.weight[some], feature_names=list(names))
            self.start += BATCH
            return True

        def reset(self) -> None:
            self.start = 0

    return xgboost.QuantileDMatrix(Batches(), ref=bins)
