"""The learned response: what offers do to leaving, and who accepts, from past campaigns.

Leaving is compared between those who were offered something and those who were not (intention to treat), never between
those who accepted and those who refused: they differ in more than the offer. Beside the control risk, which the churn
model gives as the expected cumulative hazard E of each follow-up, the number of leavers is Poisson with mean

    E exp(a + b log R + a_w + x (c + c_w) + t (r_kw + s_kw (m + x f) + d_k + d_w + x e + x g_w))

t being 1 for offers, k the action, w the window in which the follow-up begins, x the features in pieces, r_kw the log
ratio that is assumed, at the acceptance that was learned, and s_kw its size: m says that all offers do more or less
than assumed, f for whom, and what follows how they depart from that shape. R is what was to be expected had nobody
left: E ends with leaving, and what hangs on the outcome must not explain it (Poisson regression for piecewise
exponential survival: Laird and Olivier, JASA 76, 1981).

Every coefficient has a normal prior with mean zero: without campaigns the response is the assumed one.
Whether an offer was accepted is seen of every offer, whether it kept somebody of few: of a thousand past offers some
seventy customers leave, and chance alone moves their number as much as a good offer does. So acceptance, which decides
what a discount costs and how many are kept, is learned freely, by a logistic regression of the same shape; and those
who accept are taken to stay as assumed unless leaving itself says clearly that they do not. For that the prior is a
mixture: most likely the assumed response is nearly right, possibly far off for all, possibly different between
customers. Each part is weighed by its evidence (``posterior``), so that many offers overrule what few cannot.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from spanishgas.config import LearnedSettings
from spanishgas.policy.campaigns import CONTROL, CampaignFacts, FollowUps
from spanishgas.policy.economics import ACTIONS, WINDOWS, Floats, Respond, Response
from spanishgas.policy.learners import LEAST_RISK, Learner, effects_by, line_through
from spanishgas.policy.posterior import fit

KNOTS = (1 / 3, 2 / 3)
TAILS = (0.02, 0.98)
RARE = 0.03
LEAST_RATIO, MOST_RATIO = 0.1, 3.0
# Standard deviations of the priors, in log hazard ratios: of what holds for all customers.
FOR_ALL = {"dose": 0.05, "action": 0.02, "window": 0.02}
# Of what differs between customers, as shares of the spread.
DIFFERS = {"customer": 1.0, "strength": 1.0, "timing": 0.5}
# What may be true beforehand: how much more than by FOR_ALL all may be off, the spread between customers, and the
# probability of both. Most likely the assumed response is nearly right.
BELIEFS = (
    (1.0, 0.0, 0.75),
    (3.0, 0.0, 0.12),
    (8.0, 0.0, 0.08),
    (8.0, 0.1, 0.0125),
    (8.0, 0.2, 0.0125),
    (8.0, 0.4, 0.0125),
    (8.0, 0.8, 0.0125),
)
# The same for how far the control risk is off; what this leaves would pass for an effect.
OFF = {"risk": 1.0, "begin": 1.0, "control": 0.3, "control_timing": 0.2}
# And for accepting, in log-odds.
ACCEPTING = {"dose": 1.0, "action": 1.0, "window": 0.5}
ACCEPTING_SPREADS = (0.0, 0.1, 0.3, 0.6)
LEAST_CHANCE = 1e-3


@dataclass(frozen=True)
class Pieces:
    """Features in pieces: numbers as a line with two bends within the range seen, words and gaps as flags.

    Attributes:
        numbers: Feature -> lowest and highest value used, the bends, centre and scale.
        words: Feature -> words told apart.
    """

    numbers: dict[str, dict[str, float]]
    words: dict[str, tuple[str, ...]]

    @classmethod
    def learn(cls, features: pd.DataFrame) -> "Pieces":
        """Learns ranges, bends and words; a feature without two values is left out."""
        numbers: dict[str, dict[str, float]] = {}
        words: dict[str, tuple[str, ...]] = {}
        for name in features.columns:
            values = features[name].dropna()
            if len(values) and isinstance(values.iloc[0], str):
                shares = values.value_counts(normalize=True)
                words[str(name)] = tuple(sorted(str(word) for word in shares.index[shares >= RARE]))
                continue
            known = pd.to_numeric(values, errors="coerce").to_numpy(np.float64)
            if len(np.unique(known)) < 2:
                continue
            low, high = np.quantile(known, TAILS)
            if low == high:  # nearly always the same: all that is seen counts
                low, high = known.min(), known.max()
            clipped = np.clip(known, low, high)
            bends = dict(zip(("first", "second"), np.quantile(clipped, KNOTS), strict=True))
            told = {"low": low, "high": high, **bends, "centre": clipped.mean(), "scale": clipped.std() or 1.0}
            numbers[str(name)] = {key: float(value) for key, value in told.items()}
        return cls(numbers, words)

    def columns(self, features: pd.DataFrame) -> Floats:
        """The pieces, shape (rows, pieces); a feature that is not there is missing for all."""
        numbers = {
            name: pd.to_numeric(features[name].astype(object), errors="coerce").to_numpy(np.float64, na_value=np.nan)
            for name in self.numbers
            if name in features.columns
        }
        words = {name: features[name].to_numpy(object) for name in self.words if name in features.columns}
        return self.columns_of(numbers, words, len(features))

    def columns_of(
        self, values_of: Mapping[str, Floats], words_of: Mapping[str, npt.NDArray[np.object_]], rows: int
    ) -> Floats:
        """The pieces of features that are arrays already.

        Args:
            values_of: Numbers, NaN where not known, each of shape (rows,).
            words_of: Words.
            rows: Number of rows.
        """
        found: list[Floats] = []
        # By name: whoever keeps the pieces as JSON need not keep their order.
        for name, told in sorted(self.numbers.items()):
            values = values_of.get(name, np.full(rows, np.nan))
            gap = np.isnan(values)
            clipped = np.where(gap, told["centre"], np.clip(values, told["low"], told["high"]))
            found += [(clipped - told["centre"]) / told["scale"], gap.astype(np.float64)]
            for bend in ("first", "second"):
                if told["low"] < told[bend] < told["high"]:
                    found.append(np.maximum(clipped - told[bend], 0.0) / told["scale"])
        for name, known in sorted(self.words.items()):
            told_words = words_of.get(name, np.full(rows, None, dtype=object))
            found += [np.array([one == word for one in told_words], np.float64) for word in known]
        return np.column_stack(found) if found else np.zeros((rows, 0))


@dataclass(frozen=True)
class Effects:
    """A learned response: what campaigns add to the assumed one.

    Attributes:
        pieces: Features in pieces.
        prior: Log hazard ratios that were assumed, mean over the customers, shape (actions, windows).
        leaving: Coefficients of what is added to the assumed log hazard ratios, by kind of term.
        accepting: Coefficients of what is added to the assumed log-odds of accepting.
        facts: What it was learned from.
    """

    pieces: Pieces
    prior: Floats
    leaving: dict[str, Floats]
    accepting: dict[str, Floats]
    facts: dict[str, Any]

    def respond(self, features: pd.DataFrame, assumed: Respond) -> Respond:
        """The response of customers with these features, in their order.

        The hazard ratio is the mean over those who accept and those who do not: campaigns do not tell them apart
        without bias, and the value of an offer needs no more.

        Args:
            features: Their features.
            assumed: How they are assumed to respond.
        """
        ready = features.reset_index(drop=True)

        return lambda part: self.response_of(self.pieces.columns(ready.iloc[part]), assumed(part))

    def response_of(self, x: Floats, assumed: Response) -> Response:
        """The response of customers whose features are in pieces already, see ``Pieces.columns_of``."""
        dose = doses(self.prior)
        told = replace(assumed, acceptance=_accepted(self.accepting, x, dose, assumed))
        log_ratio = np.log(told.mean_ratio) + _spread(self.leaving, x, dose)
        ratio = np.clip(np.exp(log_ratio), LEAST_RATIO, MOST_RATIO)
        return Response(told.acceptance, ratio, ratio)

    @property
    def state(self) -> dict[str, Any]:
        """As plain values for JSON."""
        return {
            "numbers": self.pieces.numbers,
            "words": {name: list(words) for name, words in self.pieces.words.items()},
            "prior": self.prior.tolist(),
            "leaving": {name: values.tolist() for name, values in self.leaving.items()},
            "accepting": {name: values.tolist() for name, values in self.accepting.items()},
            "facts": self.facts,
        }

    @classmethod
    def restore(cls, state: Mapping[str, Any]) -> "Effects":
        """Takes back what ``state`` gave."""
        return cls(
            Pieces(dict(state["numbers"]), {name: tuple(words) for name, words in state["words"].items()}),
            np.asarray(state["prior"], np.float64),
            {name: np.asarray(values, np.float64) for name, values in state["leaving"].items()},
            {name: np.asarray(values, np.float64) for name, values in state["accepting"].items()},
            dict(state["facts"]),
        )


def _spread(told: Mapping[str, Floats], x: Floats, dose: Floats) -> Floats:
    """What an offer adds, shape (customers, actions, windows)."""
    on_all = told["action"][:, None] + told["window"][None, :] + told["dose"] * dose
    on_customer = x @ told["customer"]
    on_dose = (x @ told["strength"])[:, None, None] * dose[None]
    on_timing = x @ told["timing"]
    return np.asarray(on_all[None] + on_customer[:, None, None] + on_dose + on_timing[:, None, :], np.float64)


def doses(prior: Floats) -> Floats:
    """Strength of each action in each window, mean one, shape (actions, windows).

    It follows the assumed effects, so that one coefficient can say that all offers do more, or less, than assumed.
    Where nothing is assumed it rises evenly from action to action.

    Args:
        prior: Log hazard ratios that are assumed, shape (actions, windows).
    """
    size = np.abs(prior)
    if size.sum() <= 0:
        size = np.broadcast_to(np.arange(1.0, len(ACTIONS) + 1)[:, None], size.shape)
    return np.asarray(size / size.mean(), np.float64)


def _design(
    rows: FollowUps, x: Floats, scales: Mapping[str, float], dose_of: Floats
) -> tuple[Floats, list[tuple[str, int, float]]]:
    """Columns of the regression, and the name, width and scale of their blocks; blocks without a scale are left out."""
    treated = (rows.action != CONTROL).astype(np.float64)
    begin = (rows.window[:, None] == np.arange(len(WINDOWS))[None, :]).astype(np.float64)
    window = begin * treated[:, None]
    dose = np.where(treated > 0, dose_of[np.maximum(rows.action, 0), rows.window], 0.0)
    log_risk = np.log(rows.risk)[:, None]
    centre = log_risk.mean() if len(rows) else 0.0

    def by_window(flags: Floats) -> Floats:
        return np.hstack([x * flags[:, place, None] for place in range(len(WINDOWS))])

    blocks = {
        "dose": dose[:, None],
        "action": (rows.action[:, None] == np.arange(len(ACTIONS))[None, :]).astype(np.float64),
        "window": window,
        "customer": x * treated[:, None],
        "strength": x * dose[:, None],
        "timing": by_window(window),
        # How far the control risk is off may differ between windows; that must not pass for an effect of timing.
        "risk": log_risk - centre,
        "begin": begin,
        "control": x,
        "control_timing": by_window(begin),
    }
    used = {name: block for name, block in blocks.items() if name in scales}
    shape = [(name, block.shape[1], scales[name]) for name, block in used.items()]
    return np.hstack([block * scales[name] for name, block in used.items()]), shape


def _named(coefficients: Floats, shape: list[tuple[str, int, float]], pieces: int) -> dict[str, Floats]:
    """Coefficients by kind of term, on the columns as they were before scaling."""
    found: dict[str, Floats] = {}
    start = 0
    for name, width, scale in shape:
        found[name] = coefficients[start : start + width] * scale
        start += width
    if "timing" in found:
        found["timing"] = found["timing"].reshape(len(WINDOWS), pieces).T
    return found


def reasons_against(facts: CampaignFacts, settings: LearnedSettings) -> list[str]:
    """Why past campaigns tell nothing, or nothing that can be trusted; empty where they do."""
    if not facts.offers:
        return ["no offer can be followed"]
    thin = {name: share for name, share in facts.effective_share.items() if 0 < share < settings.min_effective_share}
    return [
        f"no overlap: once weighted, the rows with action {name} are worth {share:.0%} of their number, "
        f"{settings.min_effective_share:.0%} are needed"
        for name, share in thin.items()
    ]


def learn(rows: FollowUps, settings: LearnedSettings, assumed: Respond) -> Effects:
    """The posterior of leaving and accepting.

    Args:
        rows: Follow-ups of past campaigns.
        settings: Features.
        assumed: How the customers of these rows are assumed to respond: what the answer is without campaigns.
    """
    told = assumed(slice(0, len(rows)))
    prior = np.log(told.mean_ratio).mean(axis=0) if len(rows) else np.zeros((len(ACTIONS), len(WINDOWS)))
    dose = doses(prior)
    pieces = Pieces.learn(rows.features.reindex(columns=list(settings.features)))
    x = pieces.columns(rows.features)
    accepting = _accepting(rows, x, dose, told.acceptance)
    # More who accept are more who are kept, as far as is known before leaving itself is looked at.
    accepted = replace(told, acceptance=_accepted(accepting, x, dose, told))
    log_ratio = np.log(accepted.mean_ratio)
    facts: dict[str, Any] = {"rows": len(rows), "learner": settings.learner}
    if settings.learner == "posterior" or not x.shape[1]:
        leaving, facts["spread"] = _leaving(rows, x, dose, log_ratio)
    else:
        leaving, facts["line_keeps"] = _by_library(settings.learner, rows, x, log_ratio)
    return Effects(pieces, prior, leaving, accepting, facts)


def _accepted(accepting: Mapping[str, Floats], x: Floats, dose: Floats, assumed: Response) -> Floats:
    """Learned probabilities of accepting, shape (customers, actions, windows)."""
    chance = np.clip(assumed.acceptance, LEAST_CHANCE, 1 - LEAST_CHANCE)
    odds = np.log(chance / (1 - chance)) + _spread(accepting, x, dose)
    return np.asarray(1 / (1 + np.exp(-odds)))


def _leaving(rows: FollowUps, x: Floats, dose: Floats, log_ratio: Floats) -> tuple[dict[str, Floats], float]:
    """Coefficients of leaving, and how far customers differ."""
    own = np.arange(len(rows)), np.maximum(rows.action, 0), rows.window
    offset = np.log(rows.expected) + np.where(rows.action == CONTROL, 0.0, log_ratio[own])
    weight = _tempered(rows)
    found, log_odds = [], []
    for reach, spread, likely in BELIEFS:
        for_all = {name: scale * reach for name, scale in FOR_ALL.items()}
        design, shape = _design(rows, x, for_all | _differing(spread, x) | OFF, dose)
        one = fit(design, offset, rows.left, weight, "poisson")
        found.append((one.mode, shape))
        log_odds.append(one.evidence + np.log(likely))
    shares = _shares(log_odds)
    spreads = np.array([spread for _, spread, _ in BELIEFS])
    return _averaged(found, shares, x.shape[1]), float(shares @ spreads)


def _by_library(learner: Learner, rows: FollowUps, x: Floats, log_ratio: Floats) -> tuple[dict[str, Floats], float]:
    """What another learner finds, as coefficients, and the share of its variance that they keep."""
    begin = (rows.window[:, None] == np.arange(len(WINDOWS))[None, :]).astype(np.float64)
    nuisance = np.hstack([np.log(rows.risk)[:, None], begin])
    change = effects_by(learner, x, nuisance, rows.action, rows.left, rows.weight, len(ACTIONS))
    risk = np.maximum(-np.expm1(-rows.risk), LEAST_RISK)
    ratio = np.log(np.clip(1 + change / risk[:, None], LEAST_RATIO, MOST_RATIO))
    steps, slopes, kept = line_through(ratio, log_ratio.mean(axis=2), x, risk)
    count, windows = x.shape[1], len(WINDOWS)
    found = {"dose": np.zeros(1), "action": steps, "window": np.zeros(windows), "customer": slopes}
    return found | {"strength": np.zeros(count), "timing": np.zeros((count, windows))}, kept


def _accepting(rows: FollowUps, x: Floats, dose: Floats, acceptance: Floats) -> dict[str, Floats]:
    told = np.flatnonzero(np.isfinite(rows.accepted) & (rows.action != CONTROL))
    some = rows.take(told)
    chance = np.clip(acceptance[told, some.action, some.window], LEAST_CHANCE, 1 - LEAST_CHANCE)
    offset = np.log(chance / (1 - chance))
    found = []
    for spread in ACCEPTING_SPREADS:
        scales = ACCEPTING | _differing(spread, x)
        design, shape = _design(some, x[told], scales, dose)
        found.append((fit(design, offset, some.accepted, np.ones(len(told)), "logistic"), shape))
    shares = _shares([one.evidence for one, _ in found])
    return _averaged([(one.mode, shape) for one, shape in found], shares, x.shape[1])


def _differing(spread: float, x: Floats) -> dict[str, float]:
    """Scales of the coefficients at which what differs between customers has this standard deviation in all."""
    if not spread or not x.shape[1]:
        return {}
    size = float(np.sqrt((x**2).sum(axis=1).mean()))
    return {name: share * spread / max(size, 1e-9) for name, share in DIFFERS.items()}


def _tempered(rows: FollowUps) -> Floats:
    """Weights of which an arm has as many as its effective size (Kish): a row of weight ten is not ten customers."""
    weight = np.array(rows.weight, np.float64)
    for action in np.unique(rows.action):
        arm = rows.action == action
        weight[arm] *= weight[arm].sum() ** 2 / (weight[arm] ** 2).sum() / arm.sum()
    return weight


def _shares(evidence: list[float]) -> Floats:
    """Posterior probabilities from logs of evidence times prior."""
    shares = np.exp(np.array(evidence) - max(evidence))
    return np.asarray(shares / shares.sum())


def _averaged(
    modes: list[tuple[Floats, list[tuple[str, int, float]]]], shares: Floats, pieces: int
) -> dict[str, Floats]:
    """Coefficients averaged over the spreads; a term that a spread leaves out is zero in it."""
    total: dict[str, Floats] = {
        "customer": np.zeros(pieces),
        "strength": np.zeros(pieces),
        "timing": np.zeros((pieces, 3)),
    }
    for share, (mode, shape) in zip(shares, modes, strict=True):
        for name, values in _named(mode, shape, pieces).items():
            total[name] = total.get(name, 0.0) + share * values
    return total
