"""How far a learned response can be trusted, on customers that it was not learned from."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from spanishgas.config import LearnedSettings
from spanishgas.policy.campaigns import CONTROL, CampaignFacts, FollowUps
from spanishgas.policy.economics import ACTIONS, WINDOWS, Floats, Respond
from spanishgas.policy.effects import Effects, doses, learn

FIFTHS = 5
REPLICATES = 200


@dataclass(frozen=True)
class Trust:
    """What says how far a learned response can be trusted.

    Attributes:
        calibration: Table ``response_calibration``.
        halves: The response as learned from each of two halves of the customers; choosing by one and valuing by the
            other tells how much choosing flatters.
        metrics: Figures for the run.
    """

    calibration: pd.DataFrame
    halves: tuple[Effects, Effects]
    metrics: dict[str, float]


def assess(rows: FollowUps, settings: LearnedSettings, assumed: Respond) -> Trust:
    """Learns on two halves of the customers and judges each on the other.

    Args:
        rows: Follow-ups.
        settings: As for ``effects.learn``.
        assumed: As for ``effects.learn``.
    """
    first = is_first_half(rows.customers)
    parts = [rows.take(np.flatnonzero(first)), rows.take(np.flatnonzero(~first))]
    whole = assumed(slice(0, len(rows)))
    priors = [whole.take(first), whole.take(~first)]
    halves = (learn(parts[0], settings, priors[0].take), learn(parts[1], settings, priors[1].take))
    ratio, place = np.empty(len(rows)), np.empty(len(rows))
    for effects, chosen, prior in ((halves[1], first, priors[0]), (halves[0], ~first, priors[1])):
        some = np.flatnonzero(chosen)
        told = effects.respond(rows.features.iloc[some], prior.take)(slice(0, len(some))).refused_ratio
        action = np.maximum(rows.action[some], 0)
        ratio[some] = told[np.arange(len(some)), action, rows.window[some]]
        # Controls have no action: both arms are placed by what offers would do to such a customer on the whole.
        place[some] = np.log(told).mean(axis=(1, 2))
    calibration = _calibration(rows, ratio, place)
    treated = rows.action != CONTROL
    observed = _ratio(rows, np.ones(len(rows), bool))
    predicted = float(np.average(ratio[treated], weights=(rows.weight * rows.expected)[treated]))
    return Trust(calibration, halves, {"response_predicted_ratio": predicted, "response_observed_ratio": observed})


def is_first_half(customers: npt.NDArray[np.object_]) -> npt.NDArray[np.bool_]:
    """Which of the two halves customers belong to."""
    return np.asarray(pd.util.hash_array(customers.astype(object)) % 2 == 0, np.bool_)


def _calibration(rows: FollowUps, ratio: Floats, place_by: Floats) -> pd.DataFrame:
    treated = rows.action != CONTROL
    edges = np.quantile(place_by[treated], np.arange(1, FIFTHS) / FIFTHS)
    fifth = np.searchsorted(edges, place_by, side="right") + 1
    found = []
    for place in range(1, FIFTHS + 1):
        some = fifth == place
        offers = some & treated
        if not offers.any():  # customers are too alike for five fifths
            continue
        lo, hi = _interval(rows, some, seed=place)
        found.append(
            {
                "fifth": place,
                "offers": int(offers.sum()),
                "leavers": int(rows.left[offers].sum()),
                "predicted_ratio": float(ratio[offers].mean()),
                "observed_ratio": _ratio(rows, some),
                "lo": lo,
                "hi": hi,
            }
        )
    return pd.DataFrame(found)


def _parts(rows: FollowUps, some: npt.NDArray[np.bool_]) -> Floats:
    """What the ratio is made of, of each row: weighted left and expected, of offers and of controls, by window.

    Returns:
        Shape (rows chosen, windows, offer or control, left or expected).
    """
    chosen = np.flatnonzero(some)
    parts = np.zeros((len(chosen), len(WINDOWS), 2, 2))
    counted = np.column_stack([rows.left[chosen], rows.expected[chosen]]) * rows.weight[chosen, None]
    parts[np.arange(len(chosen)), rows.window[chosen], (rows.action[chosen] == CONTROL).astype(int)] = counted
    return parts


def _ratios(sums: Floats) -> Floats:
    """Observed over expected leavers among the offers, over the same among the controls.

    Windows are compared each with its own controls, and weighed by what the offers were expected to lose in them.

    Args:
        sums: Sums of ``_parts``, shape (replicates, windows, 2, 2).

    Returns:
        Shape (replicates,); NaN where there is nobody to compare.
    """
    left, expected, control_left, base = (sums[:, :, arm, kind] for arm in (0, 1) for kind in (0, 1))
    # A window without controls has nobody to compare with.
    level = np.divide(control_left, base, out=np.zeros_like(base), where=base > 0)
    total, foreseen = np.where(base > 0, left, 0.0).sum(axis=1), (level * expected).sum(axis=1)
    ratios: Floats = np.divide(total, foreseen, out=np.full(len(sums), np.nan), where=foreseen > 0)
    return ratios


def _ratio(rows: FollowUps, some: npt.NDArray[np.bool_]) -> float:
    return float(_ratios(_parts(rows, some).sum(axis=0)[None])[0])


def _interval(rows: FollowUps, some: npt.NDArray[np.bool_], seed: int) -> tuple[float, float]:
    """95 % interval from a bootstrap over customers (Poisson draws)."""
    codes, customers = pd.factorize(rows.customers[some])
    sums = np.zeros((len(customers), len(WINDOWS) * 4))
    np.add.at(sums, codes, _parts(rows, some).reshape(len(codes), -1))
    times = np.random.default_rng(seed).poisson(1.0, (REPLICATES, len(customers))).astype(np.float64)
    drawn = _ratios((times @ sums).reshape(REPLICATES, len(WINDOWS), 2, 2))
    known = drawn[np.isfinite(drawn)]
    if not len(known):
        return float("nan"), float("nan")
    lo, hi = np.percentile(known, [2.5, 97.5])
    return float(lo), float(hi)


def render(
    facts: CampaignFacts, reasons: list[str], effects: Effects | None, trust: Trust | None, past: pd.DataFrame
) -> str:
    """The report in Markdown."""
    lines = [
        "# Response to offers",
        "",
        "Learned from past campaigns." if effects else "**Assumed**: past campaigns do not tell enough.",
        "",
        *(f"- {reason}" for reason in reasons),
        "",
        "| what | number |",
        "| --- | ---: |",
        f"| offers followed | {facts.offers:,} |",
        f"| controls followed | {facts.controls:,} |",
        f"| leavers among the offers | {facts.leavers:,} |",
        f"| leavers among the controls | {facts.control_leavers:,} |",
        f"| rows whose features before the offer are not published, left out | {facts.without_features:,} |",
        f"| rows too young to be followed, left out | {facts.not_mature:,} |",
        f"| rows without a usable propensity, counted as if drawn evenly | {facts.without_propensity:,} |",
        "",
        "## Overlap",
        "",
        "Effective sample size once weighted by the propensities, as a share of the rows: near 100 % where targeting",
        "was close to random, near 0 % where hardly anybody could have been given something else.",
        "",
        *(f"- {name}: {share:.0%}" for name, share in facts.effective_share.items()),
        "",
    ]
    lines += render_past(past)
    if effects is not None and "line_keeps" in effects.facts:
        lines += [
            f"Learned by {effects.facts['learner']}; of how its effects differ between customers, the plain "
            f"coefficients that decide keep {effects.facts['line_keeps']:.0%}.",
            "",
        ]
    if effects is None or trust is None:
        return "\n".join(lines)
    lines += [
        "## Calibration on customers that it was not learned from",
        "",
        f"All offers: predicted hazard ratio {trust.metrics['response_predicted_ratio']:.2f}, observed "
        f"{trust.metrics['response_observed_ratio']:.2f}.",
        "",
        "| fifth by predicted effect | offers | leavers | predicted ratio | observed ratio | 95 % interval |",
        "| --- | ---: | ---: | ---: | ---: | --- |",
        *(
            f"| {row.fifth} | {row.offers:,} | {row.leavers:,} | {row.predicted_ratio:.2f} | "
            f"{row.observed_ratio:.2f} | {row.lo:.2f} to {row.hi:.2f} |"
            for row in trust.calibration.itertuples()
        ),
        "",
        "## What is assumed and what was learned",
        "",
        "| action | " + " | ".join(WINDOWS) + " |",
        "| --- | " + " | ".join("---:" for _ in WINDOWS) + " |",
    ]
    for place, action in enumerate(ACTIONS):
        strength = effects.leaving["dose"] * doses(effects.prior)[place]
        added = effects.leaving["action"][place] + effects.leaving["window"] + strength
        cells = [
            f"{np.exp(effects.prior[place, window]):.2f} → {np.exp(effects.prior[place, window] + added[window]):.2f}"
            for window in range(len(WINDOWS))
        ]
        lines.append(f"| {action} | " + " | ".join(cells) + " |")
    lines += [
        "",
        "Hazard ratio of everybody who is offered something, for a customer like the mean of past campaigns.",
        "",
    ]
    return "\n".join(lines)


def render_past(past: pd.DataFrame) -> list[str]:
    """The table ``past_policies`` in Markdown, as lines."""
    if past.empty:
        return []

    def euros(value: object) -> str:
        return "" if pd.isna(value) else f"{value:,.0f}"  # type: ignore[call-overload]

    return [
        "## What policies would have earned on past campaigns",
        "",
        f"Estimated from what was drawn at random at {past['dates'].iloc[0]:,} dates for "
        f"{past['customers'].iloc[0]:,} customers, over no offers; a doubly robust estimate with its 90 % interval.",
        "",
        "| policy | chosen | given the same | nothing | effective | promised, EUR | earned, EUR | 90 % interval |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
        *(
            f"| {row.policy} | {row.chosen:,} | {row.matched:,} | {row.controls:,} | {row.effective:,.0f} | "
            f"{euros(row.promised_eur)} | {euros(row.earned_eur)} | "
            + ("too few to tell" if pd.isna(row.sd_eur) else f"{euros(row.lo_eur)} to {euros(row.hi_eur)}")
            + " |"
            for row in past.itertuples()
        ),
        "",
    ]
