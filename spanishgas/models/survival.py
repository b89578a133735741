"""Learning how hazards go on after the windows, from customers who were followed further; see ``domain.survival``."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from spanishgas.domain.survival import (
    STATED_WEIGHT,
    USUAL_RATE,
    WINDOW_DAYS,
    Calendar,
    Floats,
    Survival,
    log_rate_of,
    terms_of,
)
from spanishgas.models.rows import WHOLE, WINDOWS, Rows

# Standard deviations of the priors, in logs of a rate.
PRIORS = {
    "level": 0.5,
    "months": 0.3,
    "risk": 0.3,
    "risk_months": 0.2,
    "renewal": 0.7,
    "renewal_now": 0.7,
    "renewed": 0.3,
    "renewed_risk": 0.2,
    "renewed_price": 2.0,
    "tenure": 0.5,
    "season": 0.1,
}
# Rows that the model of the windows has learned from are scored too sharply; that must not pass for the curve.
NUISANCE = {"seen": 0.5, "seen_risk": 0.3}
LEAST_LEAVERS = 30
MOST_ROWS = 400_000


@dataclass(frozen=True)
class Followed:
    """Customers at dates, followed beyond the windows.

    Attributes:
        customers: Whom each row belongs to.
        windows: Hazards of the windows as the model tells them, shape (rows, windows).
        calendar: What was known of them.
        left_day: Days until they left; NaN where they are not known to have.
        observed: Days that leaving is known for.
        seen: Whether the model has learned from the row.
        day: Date of the row.
    """

    customers: npt.NDArray[np.object_]
    windows: Floats
    calendar: Calendar
    left_day: Floats
    observed: Floats
    seen: npt.NDArray[np.bool_]
    day: npt.NDArray[np.datetime64]


def as_followed(rows: Rows, told: pd.DataFrame, windows: Floats, seen: npt.NDArray[np.bool_]) -> Followed:
    """Rows of a training set as far as they were followed.

    Args:
        rows: The rows.
        told: All features of the same rows, those that the model does not use among them.
        windows: Hazards of their windows as the model tells them.
        seen: Whether the model has learned from the row.
    """
    if rows.names == (WHOLE,):
        windows = np.repeat(1 - (1 - windows) ** (1 / len(WINDOWS)), len(WINDOWS), axis=1)
    days = rows.keys["as_of"].to_numpy().astype("datetime64[D]")
    return Followed(
        customers=rows.keys["customer_id"].to_numpy(object),
        windows=windows,
        calendar=Calendar.of_table(told, days),
        left_day=rows.left_day,
        observed=rows.observed_days,
        seen=seen,
        day=days,
    )


def learn(rows: Followed) -> Survival:
    """Fits the curve; with fewer than ``LEAST_LEAVERS`` who left after the windows it is the stated rule.

    Args:
        rows: Customers at dates.
    """
    from sklearn.linear_model import PoissonRegressor

    count = rows.windows.shape[1]
    z = log_rate_of(rows.windows)
    centre = float(np.log(np.exp(z).mean())) if len(z) else float(np.log(USUAL_RATE))
    place, month, left = _person_months(rows)
    leavers = len(np.unique(rows.customers[place[left > 0]].astype(str)))
    if leavers < LEAST_LEAVERS:
        return Survival(centre, facts={"leavers": float(leavers), "months": 0.0})
    some = rows.calendar.take(place)
    risk = z[place] - centre
    blocks = terms_of(risk, some, month, count)
    seen = rows.seen[place].astype(np.float64)
    columns = [values * PRIORS[name] for name, block in blocks for values in block]
    columns += [seen * NUISANCE["seen"], seen * risk * NUISANCE["seen_risk"]]
    design = np.column_stack([np.broadcast_to(one, month.shape) for one in columns])
    # A customer who leaves counts once, at however many dates they were followed.
    share = leavers / left.sum()
    expected = np.exp(centre + STATED_WEIGHT * risk)
    weight = share * expected
    model = PoissonRegressor(alpha=1 / weight.sum(), fit_intercept=False, solver="newton-cholesky", max_iter=200)
    model.fit(design, left / expected, weight)
    mean = weight * np.exp(design @ model.coef_)
    bend = (design * mean[:, None]).T @ design + np.eye(design.shape[1])
    middle = np.average(design, axis=0, weights=mean)
    middle[-len(NUISANCE) :] = 0.0
    terms: dict[str, tuple[float, ...]] = {}
    start = 0
    for name, block in blocks:
        terms[name] = tuple(float(one) * PRIORS[name] for one in model.coef_[start : start + len(block)])
        start += len(block)
    when = (rows.day[place] + (WINDOW_DAYS * month).astype("timedelta64[D]")).astype("datetime64[M]")
    return Survival(
        centre,
        terms,
        level_sd=_beyond_chance(when, share * left, mean),
        error_sd=float(np.sqrt(middle @ np.linalg.solve(bend, middle))),
        facts={"leavers": float(leavers), "months": float(month.max())},
    )


def _person_months(rows: Followed) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Floats]:
    """Months after the windows that customers were at risk in: row, month from 1, whether they left in it."""
    count = rows.windows.shape[1]
    until = np.fmin(np.where(np.isnan(rows.left_day), np.inf, rows.left_day), rows.observed)
    whole = np.floor(until / WINDOW_DAYS).astype(np.int64)
    leaves = np.isfinite(rows.left_day)
    # A month is over for those who leave in it, however long it lasts.
    last = np.where(leaves, np.ceil(np.nan_to_num(rows.left_day) / WINDOW_DAYS).astype(np.int64), whole)
    months = np.maximum(last - count, 0)
    if months.sum() > MOST_ROWS:
        drawn = np.random.default_rng(0).permutation(len(months))
        months[drawn[np.cumsum(months[drawn]) > MOST_ROWS]] = 0
    place = np.repeat(np.arange(len(months)), months)
    order = np.arange(len(place)) - np.repeat(np.cumsum(months) - months, months)
    month = count + 1 + order
    return place, month, (leaves[place] & (month == last[place])).astype(np.float64)


def _beyond_chance(when: npt.NDArray[np.datetime64], left: Floats, expected: Floats) -> float:
    """Standard deviation of the log of observed over expected from month to month, chance taken off."""
    _, code = np.unique(when, return_inverse=True)
    observed, wanted = np.bincount(code, left), np.bincount(code, expected)
    return float(np.sqrt(max((((observed - wanted) ** 2 - wanted).sum()) / (wanted**2).sum(), 0.0)))
