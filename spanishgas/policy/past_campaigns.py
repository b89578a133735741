"""Our policy and the rules on past campaigns: whom they would have chosen then, and what that would have earned.

Every campaign is decided on as if it were today's: with the features of the month end before, the response as learned
from the other half of the customers, and a period's budget and capacities for the customers who were active then.
Whoever was in a campaign could be contacted, so consent and rests are not asked again.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from spanishgas.config import EconomicsSettings, PolicySettings
from spanishgas.domain.survival import Calendar, Survival
from spanishgas.policy.allocation import Limits, Plan
from spanishgas.policy.campaigns import CONTROL, MONTH_DAYS
from spanishgas.policy.candidates import HAZARDS, Candidates, kind_of
from spanishgas.policy.decide import guard, limits_of, plan_for, value, with_values
from spanishgas.policy.economics import (
    ACTIONS,
    MONTHS_PER_YEAR,
    WINDOW_DAYS,
    WINDOWS,
    Floats,
    Respond,
    Response,
    monthly_hazards,
)
from spanishgas.policy.past_value import NOTHING, PastValue, Promise, Trial, promise_of, value_of
from spanishgas.policy.response import ASSUMED, LEARNED
from spanishgas.policy.rules import rule_plans

OPTIONS = len(ACTIONS) * len(WINDOWS)
LEAST_CHANCE = 0.01
USUAL = 0.9
Ints = npt.NDArray[np.int64]
# Guardrails that a campaign was past already.
ASKED_THEN = ("vulnerable", "consent", "recently_contacted", "recently_held_out")


@dataclass(frozen=True)
class Month:
    """The campaigns that follow one date of features.

    Attributes:
        candidates: Their customers, as known then.
        rows: The same rows of the campaigns, in the same order.
        active: Active customers of the date, those outside the campaigns among them.
        part: Of those around their renewal then, the share that the campaigns drew from: as much of the budget and of
            the capacities is theirs.
    """

    candidates: Candidates
    rows: pd.DataFrame
    active: int
    part: float


def past_months(
    rows: pd.DataFrame,
    active: Mapping[date, tuple[int, int]],
    curve: Survival,
    economics: EconomicsSettings,
    last_day: date,
) -> list[Month]:
    """Rows of past campaigns whose effect, in whichever window, is over by the last day that leaving is known for.

    Args:
        rows: Of ``campaigns.placed``, with the features of the date before, ``margin_eur_month`` and
            ``bill_eur_month``; a customer in two campaigns of one month counts in the first.
        active: Date of features -> active customers, and those of them around their renewal.
        curve: How hazards go on after the windows.
        economics: How a decision is valued.
        last_day: Last day that leaving is known for.
    """
    lasts = WINDOW_DAYS * (len(WINDOWS) - 1) + MONTH_DAYS * economics.effect_months
    over = rows["offer_date"] + pd.Timedelta(days=lasts) <= pd.Timestamp(last_day)
    known = rows[over & rows[HAZARDS[0]].notna()].sort_values("offer_date", kind="stable")
    known = known.drop_duplicates(["as_of", "customer_id"]).sort_values(["as_of", "customer_id"], kind="stable")
    found = []
    for day, some in known.groupby("as_of", sort=True):
        part = some.reset_index(drop=True)
        hazards = part[list(HAZARDS)].to_numpy(np.float64)
        table = part[["customer_id", *HAZARDS, "margin_eur_month", "bill_eur_month"]].assign(
            kind=kind_of(part), segment_id="", risk=1 - np.prod(1 - hazards, axis=1)
        )
        for name in ("days_to_renewal", "term_age_days"):
            table[name] = part[name] if name in part.columns else np.nan
        candidates = Candidates.of(table).looking_ahead(
            curve, Calendar.of_table(part, part["as_of"]), economics.horizon_months
        )
        everybody, around = active[pd.Timestamp(str(day)).date()]
        found.append(Month(candidates, part, everybody, min(len(part) / max(around, 1), 1.0)))
    return found


def value_policies(
    months: list[Month], responses: Mapping[str, Callable[[Month], Respond]], settings: PolicySettings
) -> dict[str, tuple[PastValue, PastValue]]:
    """What our policy by each response, and every rule policy, would have earned, and what margin it would have kept.

    The second is to tell how far the model is off, which takes more than the few who by chance were given just what the
    policy would have given: of those chosen it looks at all who were given anything, as if every offer had been drawn
    alike. It leaves costs out, and no customer counts for more than nine in ten are worth, so that the dice of a single
    large one do not decide.

    Args:
        months: Past campaigns.
        responses: Name of a response -> how the customers of a month respond by what has not learned from them.
        settings: The policy.
    """
    trials: dict[str, list[tuple[Trial, Trial]]] = {}
    choices: dict[str, list[Ints]] = {}
    chances = _chances(months)
    worths = [_worth(month, settings.economics).mean(axis=1) for month in months]
    cap = float(np.quantile(np.concatenate(worths), USUAL)) if worths else 0.0
    for month, chance in zip(months, chances, strict=True):
        whole = limits_of(month.active, settings)
        limits = Limits(whole.budget * month.part, whole.windows * month.part, whole.channels * month.part)
        order = [name for name in settings.guardrails.order if name not in ASKED_THEN]
        then = settings.model_copy(update={"guardrails": settings.guardrails.model_copy(update={"order": order})})
        for name, respond in responses.items():
            told = respond(month)
            values = value(month.candidates, told, settings)
            plans: dict[str, Plan] = {name: plan_for(month.candidates, values, limits, then)}
            if name == ASSUMED:
                # Rules do not know values: they may contact whom the other guardrails allow.
                _, options = guard(month.candidates, values, then, without=("value",))
                plans |= rule_plans(month.candidates, with_values(options, values), limits.bounds)
            response, worth = told(slice(0, len(month.rows))), _worth(month, settings.economics)
            trial = (
                _trial(month, response, worth, values.spend, chance, settings),
                _trial(month, response, np.minimum(worth, cap), None, chance, settings),
            )
            for policy, plan in plans.items():
                trials.setdefault(policy, []).append(trial)
                flat = plan.action * len(WINDOWS) + plan.window
                choices.setdefault(policy, []).append(np.where(plan.action >= 0, flat, NOTHING))
    found = {}
    for policy, parts in trials.items():
        choice = np.concatenate(choices[policy])
        exact, capped = (_together(list(one)) for one in zip(*parts, strict=True))
        some = np.where(choice == NOTHING, NOTHING, 0)
        found[policy] = (value_of(exact, choice), value_of(_any_offer(capped), some))
    return found


def _together(parts: list[Trial]) -> Trial:
    return Trial(**{name: np.concatenate([getattr(one, name) for one in parts]) for name in Trial.__dataclass_fields__})


def _any_offer(trial: Trial) -> Trial:
    """The same campaigns with one option: any offer, all drawn alike."""
    rows, given = np.arange(len(trial)), (trial.arm >= 0) & (trial.arm < OPTIONS)

    def even(table: Floats) -> Floats:
        return np.asarray(table.mean(axis=1, keepdims=True))

    return Trial(
        trial.people,
        np.where(given, 0, np.where(trial.arm == NOTHING, NOTHING, 1)),
        trial.chance,
        np.where(given, trial.outcome[rows, np.where(given, trial.arm, 0)], 0.0)[:, None],
        even(trial.expected),
        even(trial.outcome_without),
        even(trial.expected_without),
    )


def _arms(rows: pd.DataFrame) -> tuple[Ints, Ints]:
    """Positions of action and window; -1 for none."""
    action = rows["action"].map({name: place for place, name in enumerate(ACTIONS)}).fillna(CONTROL)
    window = rows["timing_window"].map({name: place for place, name in enumerate(WINDOWS)}).fillna(NOTHING)
    return np.asarray(action, np.int64), np.asarray(window, np.int64)


def _chances(months: list[Month]) -> list[Floats]:
    """Probability of each row's own arm: of its action as the file tells, times the window's share among its offers.

    Where the file does not tell, the share of the action among all rows.
    """
    if not months:
        return []
    rows = pd.concat([month.rows for month in months], ignore_index=True)
    action, window = _arms(rows)
    told = pd.to_numeric(rows["propensity"], errors="coerce").to_numpy(np.float64)
    counts = np.bincount(action + 1, minlength=len(ACTIONS) + 1) / len(rows)
    chance = np.where((told > 0) & (told <= 1), told, counts[action + 1])
    shares = np.bincount(window[window >= 0], minlength=len(WINDOWS)) / max(int((window >= 0).sum()), 1)
    chance = np.where(action == CONTROL, chance, chance * np.where(window >= 0, shares[window], 1.0))
    ends = np.cumsum([len(month.rows) for month in months])
    return np.split(np.maximum(chance, LEAST_CHANCE), ends[:-1])


def _worth(month: Month, economics: EconomicsSettings) -> Floats:
    """What a customer is worth who is there at the end of an offer's effect, in EUR, shape (rows, windows)."""
    horizon = economics.horizon_months
    hazards = monthly_hazards(month.candidates.hazards, horizon)
    margin = np.nan_to_num(month.candidates.margin.by_month(horizon))
    delta = (1 + economics.discount_rate_year) ** (-np.arange(1, horizon + 1) / MONTHS_PER_YEAR)
    stay, worth = np.cumprod(1 - hazards, axis=1), margin * delta
    ends = [min(place + economics.effect_months, horizon) for place in range(len(WINDOWS))]
    later = [(stay[:, end:] * worth[:, end:]).sum(axis=1) / np.maximum(stay[:, end - 1], LEAST_CHANCE) for end in ends]
    return np.column_stack(later)


def _trial(
    month: Month,
    told: Response,
    worth: Floats,
    spend: npt.NDArray[Any] | None,
    chance: Floats,
    settings: PolicySettings,
) -> Trial:
    """One month as a trial: what leaving costs, and where a spend is given, the discounts."""
    rows, candidates, economics = month.rows, month.candidates, settings.economics
    action, window = _arms(rows)
    hazards = monthly_hazards(candidates.hazards, economics.horizon_months)
    stay = np.cumprod(1 - hazards, axis=1)
    left_day = (pd.to_datetime(rows["left_on"]) - rows["as_of"]).dt.days.to_numpy(np.float64)
    begin = (rows["offer_date"] - rows["as_of"]).dt.days.to_numpy(np.float64)
    accepted = np.nan_to_num(pd.to_numeric(rows["accepted"], errors="coerce").to_numpy(np.float64))
    paid = accepted * np.nan_to_num(candidates["bill_eur_month"]) * economics.discount_months
    tables = [np.zeros((len(rows), OPTIONS)) for _ in range(4)]
    outcome, expected, outcome_without, expected_without = tables
    for place in range(len(WINDOWS)):
        end = min(place + economics.effect_months, economics.horizon_months)
        gone = left_day <= begin + WINDOW_DAYS * place + MONTH_DAYS * economics.effect_months
        for offer, share in enumerate(settings.discounts):
            flat = offer * len(WINDOWS) + place
            there = np.zeros(len(rows))
            for ratios, part in (
                (told.accepted_ratio, told.acceptance[:, offer, place]),
                (told.refused_ratio, 1 - told.acceptance[:, offer, place]),
            ):
                acting = np.minimum(hazards[:, place:end] * ratios[:, offer, place][:, None], 1.0)
                there += part * np.prod(1 - hazards[:, :place], axis=1) * np.prod(1 - acting, axis=1)
            outcome[:, flat] = outcome_without[:, flat] = -worth[:, place] * gone
            expected[:, flat] = -worth[:, place] * (1 - there)
            expected_without[:, flat] = -worth[:, place] * (1 - stay[:, end - 1])
            if spend is not None:
                outcome[:, flat] -= share * paid
                expected[:, flat] -= np.nan_to_num(spend[:, offer, place])
    arm = np.where(action == CONTROL, NOTHING, np.where(window >= 0, action * len(WINDOWS) + window, OPTIONS))
    return Trial(candidates.ids, arm, chance, outcome, expected, outcome_without, expected_without)


def table_of(found: Mapping[str, tuple[PastValue, PastValue]], months: list[Month]) -> pd.DataFrame:
    """The table ``past_policies``."""
    rows = []
    for name, (one, kept) in found.items():
        lo, hi = one.bounds
        rows.append(
            {
                "policy": name,
                "dates": len(months),
                "customers": int(sum(len(month.rows) for month in months)),
                "chosen": one.chosen,
                "matched": one.matched,
                "controls": one.controls,
                "effective": one.effective,
                "promised_eur": one.promised,
                "earned_eur": one.earned,
                "sd_eur": one.sd if np.isfinite(one.sd) else np.nan,
                "lo_eur": lo,
                "hi_eur": hi,
                "promised_kept_eur": kept.promised,
                "kept_eur": kept.earned,
                "kept_sd_eur": kept.sd if np.isfinite(kept.sd) else np.nan,
                "kept_effective": kept.effective,
            }
        )
    return pd.DataFrame(rows)


def promise(plan: Plan, past: pd.DataFrame, response: str, market_sd: float) -> Promise:
    """What a plan made under a response is promised to earn, see ``past_value.promise_of``.

    Args:
        plan: The plan.
        past: The table ``past_policies``, of any length.
        response: ``learned`` or ``assumed``.
        market_sd: Standard deviation of the log of the level of what is kept.
    """
    own, cost = past.set_index("policy").to_dict("index"), float(plan.spend.sum())
    told = kept_value(own[response]) if response in own else None
    if told is not None and response == LEARNED:
        # The same outcomes have taught the response: of what they say, half is new.
        told = replace(told, sd=told.sd * math.sqrt(2))
    return promise_of(float(plan.value.sum()) + cost, cost, told, market_sd)


def kept_value(row: Mapping[Any, Any]) -> PastValue:
    """What a row of ``past_policies`` says of the margin that the policy would have kept."""
    sd = float(row["kept_sd_eur"])
    return PastValue(
        int(row["chosen"]),
        int(row["matched"]),
        int(row["controls"]),
        float(row["kept_effective"]),
        float(row["promised_kept_eur"]),
        float(row["kept_eur"]),
        sd if np.isfinite(sd) else float("inf"),
    )
