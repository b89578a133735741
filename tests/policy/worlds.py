"""Small sets of customers with everything that a decision needs, and the policy as it is delivered."""

from datetime import date
from functools import lru_cache

import numpy as np
import pandas as pd

from pipelines._entry import load_settings
from spanishgas.config import PolicySettings
from spanishgas.policy.candidates import Candidates
from spanishgas.policy.decide import Decisions, decide, value
from spanishgas.policy.economics import ACTIONS, WINDOWS, Respond, Response, Values
from spanishgas.policy.guardrails import Facts
from spanishgas.policy.recommendations import Basis, recommendation_rows
from spanishgas.policy.response import assumed

# Nothing forbids an offer to this customer, in any window, through any channel.
WELCOME: dict[str, object] = {
    "kind": "home",
    "segment_id": "S1",
    "risk": 0.4,
    "hazard_0_30": 0.2,
    "hazard_30_60": 0.15,
    "hazard_60_90": 0.1,
    "margin_eur_month": 30.0,
    "bill_eur_month": 80.0,
    "is_vulnerable": 0.0,
    "marketing_consent": 1.0,
    "phone_consent": 1.0,
    "days_since_offer": np.nan,
    "days_since_contact": np.nan,
    "days_since_held_out": np.nan,
    "days_to_renewal": 45.0,
    "term_age_days": 320.0,
}
BASIS = Basis(
    run_date=date(2026, 2, 9),
    as_of=date(2026, 1, 31),
    campaign="spring",
    model_version="3",
    model_digest="abc",
    policy_version="def",
    response="assumed",
    is_timed_by_contract=False,
    segment_names={"S1": "Homes", "S2": "Shops"},
)


@lru_cache
def delivered() -> PolicySettings:
    """The policy of conf/."""
    return load_settings(()).policy


def changed(settings: PolicySettings | None = None, **parts: object) -> PolicySettings:
    """A policy with other settings: a dict changes fields of a part, anything else replaces it."""
    base = delivered() if settings is None else settings
    update = {
        name: getattr(base, name).model_copy(update=what) if hasattr(getattr(base, name), "model_copy") else what
        for name, what in parts.items()
    }
    return base.model_copy(update=update)


def unlimited(settings: PolicySettings | None = None) -> PolicySettings:
    """A policy that may spend and do what it likes."""
    return changed(settings, budget={"eur": 1e12, "windows": (None, None, None), "channels": {}})


def customers(*differences: dict[str, object]) -> Candidates:
    """One customer per difference from the one who is welcome, ``C000`` and on."""
    rows = [{"customer_id": f"C{number:03d}", **WELCOME, **one} for number, one in enumerate(differences)]
    return Candidates.of(pd.DataFrame(rows))


def population(count: int = 300, seed: int = 0) -> Candidates:
    """Customers of every kind, each guardrail's among them, and everything that may be unknown unknown for some."""
    rng = np.random.default_rng(seed)

    def often(*values: object, p: tuple[float, ...]) -> np.ndarray:
        return rng.choice(np.array(values, float), count, p=p)

    hazards = rng.beta(1.2, 12, (count, 3))
    gap = float("nan")
    return Candidates.of(
        pd.DataFrame(
            {
                "customer_id": [f"C{number:04d}" for number in rng.permutation(count)],
                "kind": rng.choice(["home", "second_home", "business"], count, p=[0.7, 0.1, 0.2]),
                "segment_id": rng.choice(["S1", "S2", ""], count),
                "risk": 1 - np.prod(1 - hazards, axis=1),
                "hazard_0_30": hazards[:, 0],
                "hazard_30_60": hazards[:, 1],
                "hazard_60_90": hazards[:, 2],
                "margin_eur_month": np.where(rng.uniform(size=count) < 0.03, gap, rng.normal(15, 12, count)),
                "bill_eur_month": np.where(rng.uniform(size=count) < 0.03, gap, rng.lognormal(4.2, 0.9, count)),
                "is_vulnerable": often(0, 1, gap, p=(0.85, 0.1, 0.05)),
                "marketing_consent": often(1, 0, gap, p=(0.75, 0.15, 0.1)),
                "phone_consent": often(1, 0, gap, p=(0.5, 0.4, 0.1)),
                "days_since_offer": np.where(rng.uniform(size=count) < 0.6, gap, rng.integers(0, 400, count)),
                "days_since_contact": np.where(rng.uniform(size=count) < 0.5, gap, rng.integers(0, 60, count)),
                "days_since_held_out": np.where(rng.uniform(size=count) < 0.9, gap, rng.integers(1, 150, count)),
                "days_to_renewal": np.where(rng.uniform(size=count) < 0.1, gap, rng.integers(-60, 200, count)),
                "term_age_days": np.where(rng.uniform(size=count) < 0.1, gap, rng.integers(0, 365, count)),
            }
        )
    )


def response(candidates: Candidates, settings: PolicySettings | None = None) -> Respond:
    """The response as the policy assumes it."""
    return assumed((settings or delivered()).response.assumed, candidates)


def same_response(count: int, *, acceptance: float, accepted: float, refused: float) -> Respond:
    """Everybody responds alike to every offer in every window."""
    whole = np.ones((count, len(ACTIONS), len(WINDOWS)))
    return lambda part: Response(acceptance * whole[part], accepted * whole[part], refused * whole[part])


def facts_of(candidates: Candidates, settings: PolicySettings | None = None) -> Facts:
    """What guardrails look at, by the assumed response."""
    used = settings or delivered()
    return Facts(candidates, value(candidates, response(candidates, used), used), used)


def plain_values(worth: np.ndarray, reached: float = 1.0) -> Values:
    """Offers of given worth before the contact, which cost one euro."""
    count, _, windows = worth.shape
    return Values(
        worth.astype(np.float32),
        np.ones(worth.shape, np.float32),
        np.full((count, windows), reached, np.float32),
        np.zeros(count, np.float32),
    )


def decided(candidates: Candidates, settings: PolicySettings) -> Decisions:
    """A decision by the assumed response."""
    return decide(candidates, response(candidates, settings), settings, BASIS.campaign)


def causes(count: int) -> np.ndarray:
    """Causes of risk: two, one or none, in turn."""
    found = np.empty(count, dtype=object)
    for row in range(count):
        found[row] = (("complaint", "tone"), ("price_changed",), ())[row % 3]
    return found


def rows_of(decisions: Decisions, settings: PolicySettings, basis: Basis = BASIS) -> pd.DataFrame:
    """The table of recommendations of a decision."""
    respond = response(decisions.candidates, settings)
    return recommendation_rows(decisions, causes(len(decisions.candidates)), respond, basis)
