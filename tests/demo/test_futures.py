"""Other futures of a demo world's present, and what the records tell of hidden traits."""

from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache

import numpy as np
import pytest

from spanishgas.config import DemoSettings
from spanishgas.demo import build_world
from spanishgas.demo.belief import TRAITS, Belief, Evidence, believe, believed_futures, evidence_of
from spanishgas.demo.futures import Fork, Present, Told, foreseen, futures, one_future, present_at
from spanishgas.demo.hazards import draw_causes
from spanishgas.demo.market import draw_market
from spanishgas.demo.noise import Floats
from spanishgas.demo.story import draw_story, leave
from spanishgas.errors import ContractError

END = date(2026, 1, 31)


@dataclass(frozen=True)
class Known:
    """A present, its evidence, what is believed of it, and the true risk of its next three months over futures."""

    present: Present
    evidence: Evidence
    belief: Belief
    risk: Floats


def risk_of(told: list[Told]) -> Floats:
    """Probability of leaving within three months, averaged over futures."""
    return np.asarray(np.mean([1 - np.prod(1 - one.hazards[:, :3], axis=1) for one in told], axis=0))


@lru_cache
def present(world: str = "interactions", as_of: date = END) -> Present:
    settings = DemoSettings(customers=1500, world=world, seed=5)  # type: ignore[arg-type]
    story = draw_story(settings, offers_until=as_of)
    there = (story.population.activation < np.datetime64(as_of)) & ~(leave(story).on <= np.datetime64(as_of))
    return present_at(settings, as_of, story.population.ids[there].astype(object))


@lru_cache
def known() -> Known:
    now = present()
    evidence = evidence_of(now)
    belief = believe(now, evidence, particles=100, seed=1)
    return Known(now, evidence, belief, risk_of(list(futures(now, 16))))


def test_a_future_leaves_the_past_alone_and_differs_after_it() -> None:
    now = present()
    story, month = now.story, now.month
    markets, moods = [], []
    for number in range(2):
        fork = Fork(story.settings.seed, month, f"future {number}")
        market = draw_market(now.population, fork, story.market.months)
        causes = draw_causes(now.population, market, fork)
        until, whole = month + 1, story.market
        assert (market.wholesale[:until] == whole.wholesale[:until]).all()
        assert (market.price[:, :until] == whole.price[now.rows, :until]).all()
        assert (causes.mood[:, :until] == story.causes.mood[now.rows, :until]).all()
        assert (causes.complaints[:, :until] == story.causes.complaints[now.rows, :until]).all()
        assert (causes.open_ended[:, :until] == story.causes.open_ended[now.rows, :until]).all()
        assert (market.wholesale[until:] != whole.wholesale[until:]).all()
        assert (causes.mood[:, until:] != story.causes.mood[now.rows, until:]).all()
        markets.append(market.wholesale)
        moods.append(causes.mood)
    assert (markets[0][month + 1 :] != markets[1][month + 1 :]).all()
    # A term that began before the present keeps its price but for the indexing until the next renewal.
    renewing = now.story.market.to_renewal[now.rows, month + 1] == 0
    changed = np.abs(np.log(market.price[:, month + 1] / story.market.price[now.rows, month + 1]))
    assert changed[~renewing].max() < 0.04 < changed[renewing].mean()


def test_the_future_that_happens_is_the_one_that_the_ground_truth_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    """With nothing drawn again a future is what the published tables say."""
    monkeypatch.setattr("spanishgas.demo.futures.DRAWN_AGAIN", {})
    settings = DemoSettings(customers=300, seed=5, world="interactions")
    truth = build_world(settings).ground_truth
    months = truth["months"][truth["months"]["as_of"] == np.datetime64(END)].set_index("customer_id")
    offers = truth["offers"][truth["offers"]["as_of"] == np.datetime64(END)]
    told = one_future(present_at(settings, END, months.index.to_numpy(object)), "any")
    for name, values in (("hazard", told.hazards), ("margin_eur", told.margin), ("bill_eur", told.bill)):
        assert values == pytest.approx(months.filter(like=f"{name}_").to_numpy(), rel=1e-5), name
    for action, window, place in (("small", "immediate", (0, 0)), ("large", "60_90", (2, 2))):
        cell = offers[(offers["action"] == action) & (offers["timing_window"] == window)].set_index("customer_id")
        for name, values in (
            ("p_accept", told.acceptance),
            ("accepted_ratio", told.accepted_ratio),
            ("refused_ratio", told.refused_ratio),
        ):
            assert values[:, *place] == pytest.approx(cell.loc[months.index, name].to_numpy(), rel=1e-5), name


def test_sixteen_futures_differ_and_average_to_what_the_traits_foresee() -> None:
    found = known()
    drawn = [one.hazards[:, 0] for one in futures(found.present, 16)]
    assert len({float(one.sum()) for one in drawn}) == 16
    foresight = risk_of(list(foreseen(found.present, 32)))
    assert np.corrcoef(np.log(foresight), np.log(found.risk))[0, 1] > 0.95
    again = [one.hazards[:, 0] for one in futures(found.present, 16)]
    assert all((one == other).all() for one, other in zip(drawn, again, strict=True))


def test_campaigns_after_the_present_are_no_part_of_it() -> None:
    """A present within the history is one in which nobody is offered anything from then on."""
    early = present(as_of=date(2025, 6, 30))
    made = early.story.offers["offer_date"].to_numpy().astype("datetime64[D]")
    assert made.max() <= np.datetime64("2025-06-30")
    whole = draw_story(early.story.settings)
    until = early.month + 1
    assert (early.shift[:, :until] == whole.hazards.past_shift[early.rows, :until]).all()
    assert not early.shift[:, until + 5 :].any()
    assert whole.hazards.past_shift[:, until + 5 :].any()


def test_customers_and_days_outside_the_world_are_errors() -> None:
    settings = DemoSettings(customers=20, seed=5)
    with pytest.raises(ContractError, match="does not have customers"):
        present_at(settings, END, np.array(["nobody"], object))
    with pytest.raises(ContractError, match="outside the world"):
        present_at(settings, date(2027, 1, 31), np.array(["C00001"], object))


def loss(believed: Floats, true: Floats) -> float:
    """Expected log loss of believed probabilities."""
    chance = np.clip(believed, 1e-6, 1 - 1e-6)
    return float(-(true * np.log(chance) + (1 - true) * np.log1p(-chance)).mean())


def test_what_is_believed_from_the_records_is_calibrated_and_better_than_from_none_or_from_others_records() -> None:
    found = known()
    now, evidence = found.present, found.evidence
    informed = risk_of(list(believed_futures(now, found.belief)))
    # Those here are known to be there; the filter leaves room for leavers who are not registered yet.
    there = (informed - found.belief.gone.mean(axis=1)) / (1 - found.belief.gone.mean(axis=1))
    assert there.mean() == pytest.approx(found.risk.mean(), rel=0.08)
    top = informed >= np.quantile(informed, 0.8)
    assert there[top].mean() == pytest.approx(found.risk[top].mean(), rel=0.12)
    nothing = replace(evidence, recorded=np.zeros_like(evidence.recorded))
    others = evidence.of(np.random.default_rng(0).permutation(len(now.rows)))
    for some in (nothing, others):
        belief = believe(now, some, particles=60, seed=1)
        assert loss(informed, found.risk) < loss(risk_of(list(believed_futures(now, belief))), found.risk) - 0.002


def test_the_traits_that_are_believed_are_nearer_to_the_true_ones_than_the_prior_is() -> None:
    found = known()
    for name in TRAITS:
        drawn, true = found.belief.traits[name], getattr(found.present.population, name)
        # Calibrated: the mean is right, and the spread is that of the error.
        assert drawn.mean() == pytest.approx(true.mean(), abs=0.08)
        error = np.sqrt(((true - drawn.mean(axis=1)) ** 2).mean())
        assert error == pytest.approx(np.sqrt(drawn.var(axis=1).mean()), rel=0.12), name
        if name != "frailty":
            assert np.corrcoef(drawn.mean(axis=1), true)[0, 1] > 0.15, name
    now = found.present
    state = now.story.causes.state[now.rows, now.month]
    assert np.corrcoef(found.belief.state.mean(axis=1), state)[0, 1] > 0.15
    shift = now.shift[:, now.month + 1 : now.month + 6]
    assert found.belief.shift.mean(axis=(0, 1)) == pytest.approx(shift.mean(axis=0), abs=0.02)
