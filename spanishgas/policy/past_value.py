"""What a rule would have earned on past randomised campaigns, told without believing the model.

For the customers whom the rule would have chosen, the gain over no offer is a doubly robust estimate: what the model
expects, put right by those who by chance were given just that, and by those who by chance were given nothing, each
weighed by the inverse of its chance (Dudik, Langford and Li, Doubly robust policy evaluation and learning, ICML 2011;
weights are scaled to their sum, as in Swaminathan and Joachims, NIPS 2015). It is right when the chances are, however
wrong the model is; the model only takes variance off. Rows of one customer are one cluster.

The room takes plain arrays and runs on any randomised campaign.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
NOTHING = -1
# Standard deviations on either side that hold 90 %.
SIDE = 1.645
# Of fewer who were given what the rule gives, or nothing, no spread can be told.
LEAST_MATCHED = 5
# Standard deviation of the log of what is kept over what the model expects, where no campaign tells: a factor of two
# either way.
PRIOR_SD = 0.7
GRID = 400
MOST_FACTOR = 8.0
# Quantiles that a normal distribution is stood for by.
QUANTILES = 99


@dataclass(frozen=True)
class Trial:
    """A randomised campaign: who was given what by which chance, what came of it, and what a model expected.

    Attributes:
        people: Whom each row belongs to, shape (rows,).
        arm: Option that was drawn; -1 for no offer.
        chance: Probability that just this was drawn.
        outcome: What the row brought in EUR if its rule's option is this one, shape (rows, options): options may be
            followed for different times.
        expected: What the model expects of each option, same shape.
        outcome_without: The same as ``outcome``, for rows without an offer, by option that they are held against.
        expected_without: What the model expects without an offer.
    """

    people: npt.NDArray[np.object_]
    arm: Ints
    chance: Floats
    outcome: Floats
    expected: Floats
    outcome_without: Floats
    expected_without: Floats

    def __len__(self) -> int:
        return len(self.arm)


@dataclass(frozen=True)
class PastValue:
    """What a rule would have earned.

    Attributes:
        chosen: Rows that the rule would have chosen.
        matched: Of them, rows that were given just what it would have given.
        controls: Of them, rows that were given nothing.
        effective: Effective number of the matched once weighted (Kish).
        promised: What the model expected of the rule in EUR, over no offers.
        earned: The estimate.
        sd: Its standard error; infinity where too few were matched.
    """

    chosen: int
    matched: int
    controls: int
    effective: float
    promised: float
    earned: float
    sd: float

    @property
    def bounds(self) -> tuple[float, float]:
        """The 90 % interval; NaN where nothing can be told."""
        if not np.isfinite(self.sd):
            return float("nan"), float("nan")
        return self.earned - SIDE * self.sd, self.earned + SIDE * self.sd


def value_of(trial: Trial, choice: Ints) -> PastValue:
    """Values a rule.

    Args:
        trial: Past campaigns.
        choice: Option that the rule gives each row; -1 for none.
    """
    rows = np.flatnonzero(choice != NOTHING)
    told = choice[rows]

    def of(table: Floats) -> Floats:
        return table[rows, told]

    gain = of(trial.expected) - of(trial.expected_without)
    is_given, is_control = trial.arm[rows] == told, trial.arm[rows] == NOTHING
    given = _scaled(is_given, trial.chance[rows])
    without = _scaled(is_control, trial.chance[rows])
    off = np.where(is_given, of(trial.outcome) - of(trial.expected), 0.0)
    off_without = np.where(is_control, of(trial.outcome_without) - of(trial.expected_without), 0.0)
    matched, controls = int(is_given.sum()), int(is_control.sum())
    promised = float(gain.sum())
    if min(matched, controls) < LEAST_MATCHED:
        return PastValue(len(rows), matched, controls, _kish(given), promised, promised, float("inf"))
    parts = gain + given * off - without * off_without
    # The weights are scaled by their sum, so that only what departs from the arm's mean is noise.
    mean, mean_without = (np.average(one, weights=weight) for one, weight in ((off, given), (off_without, without)))
    noise = gain - gain.mean() + given * (off - mean) - without * (off_without - mean_without)
    _, cluster = np.unique(trial.people[rows].astype(str), return_inverse=True)
    sd = float(np.sqrt((np.bincount(cluster, noise) ** 2).sum()))
    return PastValue(len(rows), matched, controls, _kish(given), promised, float(parts.sum()), sd)


def _scaled(some: npt.NDArray[np.bool_], chance: Floats) -> Floats:
    """Inverse chances of some of the rows that add up to the number of all; zeros for the others."""
    inverse = np.where(some, 1 / chance, 0.0)
    total = inverse.sum()
    return np.asarray(inverse * (len(some) / total) if total > 0 else inverse)


def _kish(weight: Floats) -> float:
    square = float((weight**2).sum())
    return float(weight.sum() ** 2 / square) if square > 0 else 0.0


@dataclass(frozen=True)
class Promise:
    """What a plan is expected to earn beyond its cost, with what past campaigns say of such expectations.

    Attributes:
        model: What the model expects, in EUR.
        factor: Of the margin that the model expects offers to keep, what past campaigns say is kept.
        value: What is promised, in EUR.
        lo: Lower bound of the 90 % interval: by the factor's uncertainty and by the market ahead.
        hi: Upper bound.
        effective: Effective number of past offers that speak for the factor; 0 where too few were alike.
    """

    model: float
    factor: float
    value: float
    lo: float
    hi: float
    effective: float


def promise_of(kept: float, cost: float, past: PastValue | None, market_sd: float) -> Promise:
    """Scales the margin that a plan's model expects to keep.

    The factor has a lognormal prior with mean one, a factor of two either way; past campaigns speak by a normal
    likelihood of the estimate. Its posterior mean is what is promised, so few campaigns change little and leave the
    interval wide.

    Args:
        kept: Margin that the model expects the offers to keep, in EUR.
        cost: What they are expected to cost.
        past: What the same rule kept on past campaigns; None without any.
        market_sd: Standard deviation of the log of the kept margin's level, by the market ahead.
    """
    factor = np.geomspace(1 / MOST_FACTOR, MOST_FACTOR, GRID)
    log_weight = -((np.log(factor) + PRIOR_SD**2 / 2) ** 2) / (2 * PRIOR_SD**2)
    effective = 0.0
    if past is not None and np.isfinite(past.sd) and past.promised > 0 and past.sd > 0:
        effective = past.effective
        log_weight -= (past.earned / past.promised - factor) ** 2 / (2 * (past.sd / past.promised) ** 2)
    weight = np.exp(log_weight - log_weight.max())
    weight /= weight.sum()
    mean = float(weight @ factor)
    level = np.exp(market_sd * _normal_quantiles())
    values = (factor[:, None] * level[None, :] / level.mean()).ravel()
    order = np.argsort(values)
    reached = np.cumsum(np.repeat(weight / len(level), len(level))[order])
    lo, hi = (float(values[order][np.searchsorted(reached, edge)]) for edge in (0.05, 0.95))
    value, low, high = (kept * one - cost for one in (mean, lo, hi))
    return Promise(kept - cost, mean, value, min(low, high), max(low, high), effective)


def _normal_quantiles() -> Floats:
    from scipy.stats import norm

    return np.asarray(norm.ppf((np.arange(QUANTILES) + 0.5) / QUANTILES), np.float64)
