"""The learned response: what offers do to leaving, and who accepts, from past campaigns.

Leaving is compared between those who were offered something and those who were not (intention to treat), never between
those who accepted and those who refused: they differ in more than the offer. Beside the control risk, which the churn
model gives as the expected cumulative hazard E of each follow-up, the number of leavers is Poisson with mean

    E exp(a + b log R + a_w + x (c + c_w) + t (r_kw + s_kw (m + x f) + d_k + d_w + x e + x g_w))

t being 1 for offers, k the action, w the window in which the follow-up begins, x the features in pieces, r_kw the log
ratio that the settings assume and s_kw its size: m says that all offers do more or less than assumed, f for whom, and
what follows how they depart from that shape. R is what was to be expected had nobody left: E ends with leaving, and
what hangs on the outcome must not explain it (Poisson regression for piecewise exponential survival: Laird and Olivier,
JASA 76, 1981). Every coefficient has a normal prior with mean zero and the standard deviation below: what
is learned is shrunk towards what was assumed, and what depends on customers harder than what holds for all. How much
the priors weigh is chosen by cross-validation over customers. Acceptance, which only decides what a discount costs, is
a logistic regression of the same shape.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from spanishgas.config import LearnedSettings
from spanishgas.policy.campaigns import CONTROL, CampaignFacts, FollowUps
from spanishgas.policy.economics import ACTIONS, WINDOWS, Floats, Respond, Response

KNOTS = (1 / 3, 2 / 3)
TAILS = (0.02, 0.98)
RARE = 0.03
LEAST_RATIO, MOST_RATIO = 0.1, 3.0
# Standard deviations of the priors, in log hazard ratios and log-odds.
LEAVING = {
    "dose": 0.3,
    "action": 0.1,
    "window": 0.1,
    "customer": 0.1,
    "strength": 0.1,
    "timing": 0.05,
}
# The same for how far the control risk is off. The penalty is not for these: what they leave would pass for an effect.
OFF = {"risk": 1.0, "begin": 1.0, "control": 0.3, "control_timing": 0.2}
ACCEPTING = {"dose": 1.0, "action": 2.0, "window": 1.0, "customer": 1.0, "strength": 0.5, "timing": 0.3}


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
    """A learned response.

    Attributes:
        pieces: Features in pieces.
        prior: Log hazard ratios that were assumed, shape (actions, windows).
        leaving: Coefficients of what is added to them, by kind of term.
        accepting: Coefficients of the log-odds of accepting.
        facts: What it was learned from.
    """

    pieces: Pieces
    prior: Floats
    leaving: dict[str, Floats]
    accepting: dict[str, Floats]
    facts: dict[str, Any]

    def respond(self, features: pd.DataFrame) -> Respond:
        """The response of customers with these features, in their order.

        The hazard ratio is the mean over those who accept and those who do not: campaigns do not tell them apart
        without bias, and the value of an offer needs no more.
        """
        ready = features.reset_index(drop=True)

        return lambda part: self.response_of(self.pieces.columns(ready.iloc[part]))

    def response_of(self, x: Floats) -> Response:
        """The response of customers whose features are in pieces already, see ``Pieces.columns_of``."""
        ratio = np.clip(np.exp(self.prior[None] + _spread(self.leaving, x, doses(self.prior))), LEAST_RATIO, MOST_RATIO)
        acceptance = 1 / (1 + np.exp(-_spread(self.accepting, x, doses(self.prior))))
        return Response(acceptance, ratio, ratio)

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
    """
    size = np.abs(prior)
    if size.sum() <= 0:
        size = np.broadcast_to(np.arange(1.0, len(ACTIONS) + 1)[:, None], prior.shape)
    return np.asarray(size / size.mean(), np.float64)


def reasons_against(facts: CampaignFacts, settings: LearnedSettings) -> list[str]:
    """Why past campaigns do not tell enough; empty where they do."""
    found = []
    if facts.offers < settings.min_offers:
        found.append(f"{facts.offers:,} offers can be followed, {settings.min_offers:,} are needed")
    for what, count in (("offers", facts.leavers), ("controls", facts.control_leavers)):
        if count < settings.min_leavers:
            found.append(f"{count:,} of the {what} left, {settings.min_leavers:,} are needed")
    thin = {name: share for name, share in facts.effective_share.items() if share < settings.min_effective_share}
    for name, share in thin.items():
        found.append(
            f"no overlap: once weighted, the rows with action {name} are worth {share:.0%} of their number, "
            f"{settings.min_effective_share:.0%} are needed"
        )
    return found


def learn(rows: FollowUps, settings: LearnedSettings, prior: Floats) -> Effects:
    """Fits leaving and accepting.

    Args:
        rows: Follow-ups of past campaigns.
        settings: Features, penalties, folds.
        prior: Log hazard ratios that are assumed, shape (actions, windows): what is shrunk towards.
    """
    pieces = Pieces.learn(rows.features.reindex(columns=list(settings.features)))
    x = pieces.columns(rows.features)
    leaving, penalty = _fit_leaving(rows, x, settings, prior)
    accepting = _fit_accepting(rows, x, settings, prior)
    return Effects(pieces, prior, leaving, accepting, {"rows": len(rows), "penalty": penalty})


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
    found["timing"] = found["timing"].reshape(len(WINDOWS), pieces).T
    return found


def _folds(rows: FollowUps, settings: LearnedSettings) -> npt.NDArray[np.int64]:
    """Fold of every row; a customer's rows stay together."""
    codes, _ = pd.factorize(rows.customers, sort=True)
    generator = np.random.default_rng(settings.seed)
    return generator.permutation(np.arange(codes.max() + 1) % settings.folds)[codes]


def _fit_leaving(
    rows: FollowUps, x: Floats, settings: LearnedSettings, prior: Floats
) -> tuple[dict[str, Floats], float]:
    from sklearn.linear_model import PoissonRegressor

    def designed(penalty: float) -> tuple[Floats, list[tuple[str, int, float]]]:
        shrunk = {name: scale / np.sqrt(penalty) for name, scale in LEAVING.items()}
        return _design(rows, x, shrunk | OFF, doses(prior))

    assumed = np.where(rows.action == CONTROL, 0.0, prior[np.maximum(rows.action, 0), rows.window])
    expected = rows.expected * np.exp(assumed)
    rate, weight = rows.left / expected, rows.weight * expected
    fold = _folds(rows, settings)

    def fitted(design: Floats, chosen: npt.NDArray[np.bool_]) -> Any:
        # The loss is a mean over the weights: divided by their sum, the penalty is that of a prior.
        alpha = 1 / weight[chosen].sum()
        model = PoissonRegressor(alpha=alpha, solver="newton-cholesky", max_iter=200, tol=1e-7)
        return model.fit(design[chosen], rate[chosen], weight[chosen])

    def loss(penalty: float) -> Floats:
        design, _ = designed(penalty)
        found = np.empty(len(rows))
        for place in range(settings.folds):
            out = fold == place
            mean = np.clip(fitted(design, ~out).predict(design[out]), 1e-9, 1e6)
            found[out] = weight[out] * (mean - rate[out] * np.log(mean))
        return found

    penalty = _strongest({one: loss(one) for one in settings.penalties}, rows.customers)
    design, shape = designed(penalty)
    model = fitted(design, np.ones(len(rows), bool))
    return _named(model.coef_, shape, x.shape[1]), penalty


def _strongest(losses: Mapping[float, Floats], customers: npt.NDArray[np.object_]) -> float:
    """The strongest penalty whose loss is not worse than the least one's beyond a standard error, paired by customer.

    What is learned decides whom to spend on, and the best of many noisy promises are those with the luckiest noise:
    where the data cannot tell, what was assumed holds (the one-standard-error rule: Breiman et al., Classification and
    Regression Trees, 1984).
    """
    least = min(losses, key=lambda one: (losses[one].sum(), -one))
    codes, _ = pd.factorize(customers, sort=True)
    good = []
    for penalty, loss in losses.items():
        worse = np.bincount(codes, loss - losses[least])
        if worse.sum() <= np.sqrt(len(worse)) * worse.std():
            good.append(penalty)
    return max(good)


def _fit_accepting(rows: FollowUps, x: Floats, settings: LearnedSettings, prior: Floats) -> dict[str, Floats]:
    from sklearn.linear_model import LogisticRegression

    told = np.flatnonzero(np.isfinite(rows.accepted) & (rows.action != CONTROL))
    some = rows.take(told)
    design, shape = _design(some, x[told], ACCEPTING, doses(prior))
    if len(np.unique(some.accepted)) < 2:  # nobody, or everybody, or not told: what discounts cost is then the most
        constant = np.zeros(design.shape[1])
        share = float(some.accepted.mean()) if len(some) else 1.0
        named = _named(constant, shape, x.shape[1])
        named["action"] = named["action"] + np.log((share + 1e-6) / (1 - share + 1e-6))
        return named
    fold = _folds(some, settings)

    def fitted(chosen: npt.NDArray[np.bool_], penalty: float) -> Any:
        model = LogisticRegression(C=1 / penalty, solver="newton-cholesky", max_iter=100, tol=1e-7)
        return model.fit(design[chosen], some.accepted[chosen])

    def loss(penalty: float) -> float:
        total = 0.0
        for place in range(settings.folds):
            out = fold == place
            if len(np.unique(some.accepted[~out])) < 2:
                continue
            chance = np.clip(fitted(~out, penalty).predict_proba(design[out])[:, 1], 1e-9, 1 - 1e-9)
            total -= float((np.log(chance) * some.accepted[out] + np.log(1 - chance) * (1 - some.accepted[out])).sum())
        return total

    model = fitted(np.ones(len(some), bool), min(settings.penalties, key=lambda one: (loss(one), -one)))
    named = _named(model.coef_[0], shape, x.shape[1])
    named["action"] = named["action"] + float(model.intercept_[0])
    return named
