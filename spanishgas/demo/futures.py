"""Other futures of a demo world's present: what came before a month stays, what comes after it is drawn again."""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from spanishgas.config import DemoSettings
from spanishgas.demo.ground_truth import MONTHS_TOLD, Hazards, month_truth
from spanishgas.demo.hazards import Bools, Causes, Standing, draw_causes, switch_log_hazard
from spanishgas.demo.market import LaterMarkup, Market, draw_market
from spanishgas.demo.noise import Floats, Noise
from spanishgas.demo.offers import response_at
from spanishgas.demo.population import Ints, Population
from spanishgas.demo.story import Story, draw_story, leave, months_between
from spanishgas.errors import ContractError

# Draws that come anew after the present -> how far their last index runs ahead of the month.
DRAWN_AGAIN = {"wholesale": 0, "mood": 0, "complaint": 0, "unresolved": 0, "indexing": 0, "term_markup": 1}


class Fork(Noise):
    """The draws of a world up to a month, and others of the same kind after it.

    Args:
        seed: Seed of the world.
        after: Position of the last month that stays.
        name: Tells the futures apart.
    """

    def __init__(self, seed: int, after: int, name: str) -> None:
        super().__init__(seed)
        self.after = after
        self.name = name

    def _hash(self, purpose: str, indices: tuple[Any, ...]) -> npt.NDArray[np.uint64]:
        happened = super()._hash(purpose, indices)
        if purpose not in DRAWN_AGAIN:
            return happened
        later = np.asarray(indices[-1]) > self.after + DRAWN_AGAIN[purpose]
        return np.where(later, super()._hash(f"{purpose}/{self.name}", indices), happened)


@dataclass(frozen=True)
class Told:
    """What is true of customers in one future; `months` are those after the present.

    Attributes:
        hazards: Hazard of leaving in each month if no offer is made from now on, shape (customers, months); 1 for those
            who have left.
        margin: Expected margin of each month in EUR.
        bill: Expected energy bill of each month in EUR.
        acceptance: Probability of accepting, shape (customers, 3 actions, 3 windows).
        accepted_ratio: Factor on the hazard of switching of those who accept, while the offer acts; same shape.
        refused_ratio: The same of those who refuse.
    """

    hazards: Floats
    margin: Floats
    bill: Floats
    acceptance: Floats
    accepted_ratio: Floats
    refused_ratio: Floats


@dataclass(frozen=True)
class Present:
    """Some customers of a world at the end of a month.

    Attributes:
        story: What happened until then; offers after it are not made.
        month: Position of the month.
        rows: Positions of the customers in the world.
        population: They alone.
        gone: Who of them has left.
    """

    story: Story
    month: int
    rows: Ints
    population: Population
    gone: Bools

    @property
    def shift(self) -> Floats:
        """What past offers do to their hazards, shape (customers, months)."""
        return self.story.hazards.past_shift[self.rows]


def present_at(
    settings: DemoSettings, as_of: date, customers: npt.NDArray[np.object_], actions: pd.DataFrame | None = None
) -> Present:
    """The present of some customers.

    Args:
        settings: The world.
        as_of: Last day of a month of the world.
        customers: Their ids.
        actions: Published recommendations that took effect in the world.

    Raises:
        ContractError: The world does not have the customers, or does not reach the day.
    """
    month = months_between(settings.start, as_of) - 1
    if not settings.start <= as_of <= (settings.until or settings.end):
        raise ContractError(
            f"lies outside the world, which runs from {settings.start} to {settings.until or settings.end}",
            where=f"as_of={as_of}",
            todo="Run `demo_data` again",
        )
    story = draw_story(settings, actions, offers_until=as_of)
    rows = pd.Index(story.population.ids).get_indexer(pd.Index(customers.astype(str)))
    if (rows < 0).any():
        raise ContractError(
            "the demo world does not have customers",
            where="replay",
            count=int((rows < 0).sum()),
            examples=customers[rows < 0][:3].tolist(),
            todo="Run `demo_data` again, and the stages after it",
        )
    gone = (leave(story).on <= np.datetime64(as_of))[rows]
    return Present(story, month, rows, some_of(story.population, rows), gone)


def some_of(population: Population, rows: Ints) -> Population:
    """Some customers; their draws stay what they were, since ``index`` does."""
    return Population(**{field.name: getattr(population, field.name)[rows] for field in fields(Population)})


def futures(present: Present, count: int) -> Iterator[Told]:
    """Equally likely futures of the present, each with a market, moods and complaints of its own."""
    for number in range(count):
        yield one_future(present, f"future {number}")


def foreseen(present: Present, count: int) -> Iterator[Told]:
    """Futures as somebody imagines them who knows all of today's traits: like ``futures``, but not the same."""
    for number in range(count):
        yield one_future(present, f"imagined {number}")


def one_future(
    present: Present,
    name: str,
    *,
    population: Population | None = None,
    shift: Floats | None = None,
    gone: Bools | None = None,
    standing: Standing | None = None,
    later: LaterMarkup | None = None,
) -> Told:
    """One future.

    Args:
        present: The present.
        name: Tells futures apart; the market of a name is the same whatever is believed of the customers.
        population: The customers as somebody believes them to be; None for as they are.
        shift: What past offers do to their hazards, as believed.
        gone: Who has left, as believed.
        standing: Their hidden causes at the present, as believed.
        later: Their markup, as believed.
    """
    story, people = present.story, present.population if population is None else population
    fork = Fork(story.settings.seed, present.month, name)
    market = draw_market(people, fork, story.market.months, later)
    causes = draw_causes(people, market, fork, standing)
    log_switch = switch_log_hazard(people, market, causes)
    hazards = Hazards(story.hazards.intercept, log_switch, present.shift if shift is None else shift)
    left = present.gone if gone is None else gone
    return _told(story.settings, people, market, causes, hazards, present.month, left)


def _told(
    settings: DemoSettings,
    population: Population,
    market: Market,
    causes: Causes,
    hazards: Hazards,
    month: int,
    gone: Bools,
) -> Told:
    ahead = [month_truth(population, market, hazards, month + step) for step in range(1, MONTHS_TOLD + 1)]
    by_month = {name: np.column_stack([one[name] for one in ahead]) for name in ("hazard", "margin_eur", "bill_eur")}
    by_month["hazard"][gone] = 1.0
    response = response_at(settings, population, market, causes, month + 1)
    acceptance = response.acceptance[:, 1:, :]
    windows = np.ones((1, 1, acceptance.shape[2]))
    accepted = np.exp(response.accepted_shift[:, 1:] + response.contact_shift[:, None])[:, :, None] * windows
    refused = np.exp(response.contact_shift)[:, None, None] * np.ones((1, *acceptance.shape[1:]))
    return Told(by_month["hazard"], by_month["margin_eur"], by_month["bill_eur"], acceptance, accepted, refused)
