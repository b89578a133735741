"""What a treatment did, from arms drawn by chance within several draws: pooled, adjusted, clustered, with its power.

One ordinary regression of the outcome on the arm, with a level for every draw, does all of it:

- **Pooled.** The levels make it a stratified comparison. The weight of a draw with n1 treated and n0 controls is
  n1 n0 / (n1 + n0), that of Mantel and Haenszel (Journal of the National Cancer Institute 22, 1959) for differences of
  shares (Greenland and Robins, Biometrics 41, 1985). It hangs on counts alone, so draws with few events are not weighed
  by luck, as with inverse variances estimated from them.
- **Adjusted.** A covariate that was known before the draw takes off what it explains (CUPED: Deng, Xu, Kohavi and
  Walker, WSDM 2013). The comparison stays valid whatever the covariate is worth, because the arms were drawn by chance
  (Lin, Annals of Applied Statistics 7, 2013); one that explains nothing costs nothing but one degree of freedom.
- **Clustered.** Who is in several draws is one person: residuals add up over the draws before they are squared, and
  are enlarged by their leverage, which small arms need (Bell and McCaffrey, Survey Methodology 28, 2002).

Of shares the interval is Newcombe's for strata (Yan and Su, Statistics in Biopharmaceutical Research 2, 2010) on
effective counts: those of the draws, less what clustering costs, more what adjustment gains. With one draw, nobody
twice and no covariate it is Newcombe's own. Wald's interval would be too narrow where few leave.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spanishgas.evaluation.metrics import Floats
from spanishgas.evaluation.shares import Z, newcombe, wilson

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]
NAN = float("nan")
# Leverage above this would make a residual grow without bound.
MOST_LEVERAGE = 0.99
ROUNDING = 1e-20
COLLINEAR = 1e-9
DECISIVE_POWER = 0.8


@dataclass(frozen=True)
class Contrast:
    """Treated minus controls.

    Attributes:
        effect: Difference of the means, the draws weighed as above.
        lo: Lower bound of its 95 % interval.
        hi: Upper bound.
        error: Standard error that the effect would have, whatever it is.
    """

    effect: float
    lo: float
    hi: float
    error: float

    def smallest(self, power: float = DECISIVE_POWER) -> float:
        """Smallest effect that such arms find with this power, two-sided at 5 %, above zero.

        The minimum detectable effect of Bloom, Evaluation Review 19, 1995.
        """
        return multiple_of_error(power) * self.error


NOTHING = Contrast(NAN, NAN, NAN, NAN)


def multiple_of_error(power: float) -> float:
    """Standard errors that an effect must have to be found with this power, two-sided at 5 %."""
    from scipy.special import ndtri

    return Z + float(ndtri(power))


@dataclass(frozen=True)
class _Fit:
    """The regression.

    Attributes:
        rows: Rows of draws that have both arms.
        draw: Their draws, numbered from 0.
        treated: Their arm, 0 or 1.
        slope: Of the covariate.
        effect: Of the arm.
        variance: Of the effect, clustered.
        design: The same over what it would be were all rows independent.
        left: Residual variance over that without the covariate, and the price of arms that differ in it by chance.
    """

    rows: Ints
    draw: Ints
    treated: Floats
    slope: float
    effect: float
    variance: float
    design: float
    left: float


def shares(
    happened: Bools, treated: Bools, draws: npt.ArrayLike, people: npt.ArrayLike, covariate: Floats | None = None
) -> Contrast:
    """Difference of the shares to whom something happened.

    Args:
        happened: Whether it happened, shape (rows,).
        treated: The arm, same shape.
        draws: Which draw the row is of; arms are compared within one.
        people: Who the row is of; may be in several draws.
        covariate: Known before the draw, such as the expected probability; None adjusts for nothing.

    Returns:
        NaN where no draw has both arms.
    """
    outcome = np.asarray(happened, np.float64)
    fit = _fit(outcome, treated, draws, people, covariate)
    if fit is None:
        return NOTHING
    first, second, weight = _by_arm(fit, outcome)
    if covariate is not None:
        one, other, _ = _by_arm(fit, covariate)
        mean = float(weight @ _mean(covariate[fit.rows], fit.draw))
        first, second = first - fit.slope * (one - mean), second - fit.slope * (other - mean)
    arms = []
    for share, count in zip((first, second), _effective_counts(fit, weight), strict=True):
        total = count / (fit.left * fit.design)
        arms.append((min(max(share, 0.0), 1.0), total))
    lo, hi = newcombe(fit.effect, *(wilson(share * total, total) for share, total in arms))
    # Shares a little towards one half (Agresti and Caffo, American Statistician 54, 2000): of an arm where it happened
    # to nobody an error of nothing would be claimed.
    error = 0.0
    for share, total in arms:
        smooth = (share * total + 1) / (total + 2)
        error += smooth * (1 - smooth) / total
    return Contrast(fit.effect, lo, hi, float(np.sqrt(error)))


def amounts(
    outcome: Floats, treated: Bools, draws: npt.ArrayLike, people: npt.ArrayLike, covariate: Floats | None = None
) -> Contrast:
    """Difference of the means of an amount, with an interval by Student's t; see ``shares`` for the arguments."""
    from scipy.special import stdtrit

    fit = _fit(np.asarray(outcome, np.float64), treated, draws, people, covariate)
    if fit is None:
        return NOTHING
    error = float(np.sqrt(fit.variance))
    fewest = min(fit.treated.sum(), len(fit.treated) - fit.treated.sum())
    half = float(stdtrit(max(fewest - 1, 1), 0.975)) * error
    return Contrast(fit.effect, fit.effect - half, fit.effect + half, error)


def _fit(
    outcome: Floats, treated: Bools, draws: npt.ArrayLike, people: npt.ArrayLike, covariate: Floats | None
) -> _Fit | None:
    """The regression; None where no draw has both arms."""
    arm = np.asarray(treated, np.float64)
    draw = np.unique(np.asarray(draws), return_inverse=True)[1]
    share = _mean(arm, draw)
    rows = np.flatnonzero(((share > 0) & (share < 1))[draw])
    if not len(rows):
        return None
    arm = arm[rows]
    draw = np.unique(draw[rows], return_inverse=True)[1]
    person = np.unique(np.asarray(people)[rows], return_inverse=True)[1]
    y, moved = _centred(outcome[rows], draw), _centred(arm, draw)
    plain = y - moved * (moved @ y) / (moved @ moved)
    free = len(rows) - int(draw.max()) - 2
    explains = np.zeros(len(rows)) if covariate is None else _centred(covariate[rows], draw)
    spread = float(explains @ explains)
    # What is the same for all differs by rounding only.
    if covariate is not None and spread <= ROUNDING * float(covariate[rows] @ covariate[rows]):
        spread = 0.0
    alone, slope = moved, 0.0
    if spread > 0:
        alone = moved - explains * (moved @ explains) / spread
        # Where the covariate tells the arms apart, as in a handful of rows, it cannot be told from the treatment.
        if alone @ alone <= COLLINEAR * (moved @ moved):
            alone, spread = moved, 0.0
    effect = float(alone @ y / (alone @ alone))
    leverage = alone**2 / (alone @ alone) + 1 / np.bincount(draw)[draw]
    if spread > 0:
        slope = float(explains @ (y - effect * moved)) / spread
        leverage += explains**2 / spread
    residual = y - effect * moved - slope * explains
    pull = alone * residual / np.sqrt(1 - np.minimum(leverage, MOST_LEVERAGE)) / (alone @ alone)
    each = float(pull @ pull)
    together = float((np.bincount(person, pull) ** 2).sum())
    before, after = float(plain @ plain) / max(free, 1), float(residual @ residual) / max(free - (spread > 0), 1)
    left = (after / before if before > 0 else 1.0) * float((moved @ moved) / (alone @ alone))
    return _Fit(rows, draw, arm, slope, effect, together, together / each if each > 0 else 1.0, max(left, 1e-9))


def _mean(values: Floats, draw: Ints) -> Floats:
    return np.asarray(np.bincount(draw, values) / np.bincount(draw))


def _centred(values: Floats, draw: Ints) -> Floats:
    return np.asarray(values - _mean(values, draw)[draw])


def _by_arm(fit: _Fit, values: Floats) -> tuple[float, float, Floats]:
    """Weighted means of both arms, and the weights of the draws."""
    some, count = values[fit.rows], np.bincount(fit.draw)
    treated = np.bincount(fit.draw, fit.treated)
    weight = treated * (count - treated) / count
    weight = weight / weight.sum()
    first = np.bincount(fit.draw, fit.treated * some) / treated
    second = np.bincount(fit.draw, (1 - fit.treated) * some) / (count - treated)
    return float(weight @ first), float(weight @ second), weight


def _effective_counts(fit: _Fit, weight: Floats) -> tuple[float, float]:
    """Rows of each arm that would tell its weighted mean as well, were they of one draw."""
    treated = np.bincount(fit.draw, fit.treated)
    other = np.bincount(fit.draw) - treated
    return float(1 / (weight**2 / treated).sum()), float(1 / (weight**2 / other).sum())


@dataclass(frozen=True)
class Split:
    """How many to hold out.

    Attributes:
        share: Share of the rows that become controls.
        power: Probability to find the wanted effect.
        smallest: Smallest effect found with the wanted power.
    """

    share: float
    power: float
    smallest: float


def split_for(count: float, share_without: float, effect: float, power: float, bounds: tuple[float, float]) -> Split:
    """The smallest share of controls that finds an effect with a wanted power, two-sided at 5 %.

    With p0 the share without treatment, p1 = p0 - effect and n rows, the variance of the difference is
    p1 (1 - p1) / (n (1 - s)) + p0 (1 - p0) / (n s); it must not exceed (effect / multiple of the error)^2, which is a
    quadratic equation in s.

    Args:
        count: Rows of both arms.
        share_without: Share to whom it happens without treatment.
        effect: Fall of this share that is to be found, above zero.
        power: Wanted probability of finding it.
        bounds: Least and most share.

    Returns:
        Within the bounds; where none of them is enough, that of most power among them.
    """
    low, high = bounds
    second = share_without * (1 - share_without)
    first = max(share_without - effect, 0.0)
    first *= 1 - first
    allowed = count * (effect / multiple_of_error(power)) ** 2
    half = (first - second - allowed) / 2
    inside = half**2 - allowed * second
    # allowed s^2 + 2 half s + second <= 0, between its roots.
    share = (-half - np.sqrt(inside)) / allowed if allowed > 0 and inside >= 0 and half < 0 else 1.0
    best = np.sqrt(second) / (np.sqrt(first) + np.sqrt(second)) if second > 0 else low
    share = float(min(max(min(share, max(best, low)), low), high))
    return split_at(count, share_without, effect, power, share)


def split_at(count: float, share_without: float, effect: float, power: float, share: float) -> Split:
    """What a share of controls finds; see ``split_for`` for the arguments."""
    from scipy.special import ndtr

    if count <= 0 or not 0 < share < 1:
        return Split(share, 0.0, NAN)
    first = max(share_without - effect, 0.0)
    variance = first * (1 - first) / (1 - share) + share_without * (1 - share_without) / share
    error = np.sqrt(variance / count)
    found = float(ndtr(effect / error - Z)) if error > 0 else 1.0
    return Split(share, found, float(multiple_of_error(power) * error))
