"""What happens in a world: its market, the causes of leaving, past campaigns, and who leaves when."""

from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd

from spanishgas.config import DemoSettings
from spanishgas.demo.ground_truth import MONTHS_TOLD, Hazards, days_in_months
from spanishgas.demo.hazards import (
    MOVE_OUT_MONTHLY,
    Causes,
    calibrate,
    draw_causes,
    monthly_hazard,
    switch_log_hazard,
)
from spanishgas.demo.market import Market, draw_market
from spanishgas.demo.noise import Floats, Noise
from spanishgas.demo.offers import ACTIONS, WINDOWS, apply_offers, draw_campaigns, response_at
from spanishgas.demo.population import Days, Population, draw_population, month_starts
from spanishgas.errors import ContractError

MONTHS_AHEAD = MONTHS_TOLD + 2
# A leaver is registered one day to so many days later.
REGISTRATION_DAYS = 14


@dataclass(frozen=True)
class Story:
    """What happens in a world.

    Attributes:
        settings: What the world is made from.
        noise: Its draws.
        population: Customers, hidden traits included.
        market: Price paths.
        causes: Causes of leaving.
        arrived: Whether the customer is one by the month, shape (customers, months).
        hazards: True hazards.
        offers: Offers of the past, one row each, with positions instead of names.
    """

    settings: DemoSettings
    noise: Noise
    population: Population
    market: Market
    causes: Causes
    arrived: npt.NDArray[np.bool_]
    hazards: Hazards
    offers: pd.DataFrame


@dataclass(frozen=True)
class Leaving:
    """Last day of supply of every customer, NaT for those who stay, and whether it is for a competitor."""

    on: Days
    is_switch: npt.NDArray[np.bool_]


def months_between(first: date, last: date) -> int:
    """Calendar months from one day to another, both counted."""
    return int((last.year - first.year) * 12 + last.month - first.month + 1)


def draw_story(
    settings: DemoSettings, actions: pd.DataFrame | None = None, *, offers_until: date | None = None
) -> Story:
    """Draws what happens.

    Args:
        settings: The world.
        actions: Published recommendations that take effect, see ``world.build_world``.
        offers_until: Offers are made until the end of this day's month; None for all.

    Raises:
        ContractError: The recommendations lack a column, or one is dated within the past.
    """
    noise = Noise(settings.seed)
    history = months_between(settings.start, settings.end)
    last_day = settings.until or settings.end
    months = month_starts(settings.start, months_between(settings.start, last_day) + MONTHS_AHEAD)
    population = draw_population(settings, noise)
    market = draw_market(population, noise, months)
    causes = draw_causes(population, market, noise)
    log_switch = switch_log_hazard(population, market, causes)
    arrived = population.activation[:, None] < months[None, :]
    intercept = calibrate(settings, log_switch, arrived, history)
    campaigns = history if offers_until is None else min(history, months_between(settings.start, offers_until))
    past = draw_campaigns(settings, population, market, causes, noise, campaigns)
    shift, offers = past.shift, past.rows
    if actions is not None:
        if offers_until is not None:
            end = (pd.Timestamp(offers_until) + pd.offsets.MonthEnd(0)).normalize()
            actions = actions[pd.to_datetime(actions["run_date"]) <= end]
        made = _act(settings, population, market, causes, noise, shift, actions)
        offers = pd.concat([offers, made], ignore_index=True)
    return Story(settings, noise, population, market, causes, arrived, Hazards(intercept, log_switch, shift), offers)


def leave(story: Story) -> Leaving:
    """Throws the dice: in which month, on which day and why each customer leaves."""
    population, market, noise, hazards = story.population, story.market, story.noise, story.hazards
    customer, month = population.index[:, None], np.arange(len(market.months))[None, :]
    switch = monthly_hazard(hazards.intercept, hazards.log_switch + hazards.past_shift)
    stay = np.where(story.arrived, (1 - switch) * (1 - MOVE_OUT_MONTHLY), 1.0)
    leaves = noise.uniform("leaves", customer, month) > stay
    first = leaves.argmax(axis=1)
    index = population.index
    days = days_in_months(market)[first]
    daily = np.log(stay[index, first]) / days
    total = 1 - stay[index, first]
    draw = noise.uniform("leaving_day", index)
    with np.errstate(divide="ignore", invalid="ignore"):
        # Inverse of the truncated geometric distribution: the hazard is constant within the month.
        day = np.where(total > 0, np.floor(np.log1p(-draw * total) / daily), 0)
    on = market.months[first] + np.clip(day, 0, days - 1).astype("int64")
    on = np.where(leaves.any(axis=1), on, np.datetime64("NaT"))
    share = switch[index, first] / np.maximum(switch[index, first] + MOVE_OUT_MONTHLY, 1e-12)
    return Leaving(on, noise.uniform("reason", index) < share)


def _act(
    settings: DemoSettings,
    population: Population,
    market: Market,
    causes: Causes,
    noise: Noise,
    shift: Floats,
    actions: pd.DataFrame,
) -> pd.DataFrame:
    """Lets published offers take effect, and returns them as rows of the offers file."""
    lacking = {"customer_id", "run_date", "action", "timing_window"} - set(actions.columns)
    if lacking:
        raise ContractError("lacks columns", where="data.actions", examples=sorted(lacking))
    made = actions[actions["action"] != "none"]
    dates = pd.to_datetime(made["run_date"]).to_numpy().astype("datetime64[D]")
    early = dates <= np.datetime64(settings.end)
    if early.any():
        raise ContractError(
            f"offers are dated at or before the end of the world ({settings.end})",
            where="data.actions",
            count=int(early.sum()),
            todo="Continue the world from a run date after its end",
        )
    position = pd.Index(population.ids).get_indexer(pd.Index(made["customer_id"]))
    unknown = position < 0
    if unknown.any():
        raise ContractError(
            "names customers that the world does not have",
            where="data.actions",
            count=int(unknown.sum()),
            examples=made.loc[unknown, "customer_id"].head(5).tolist(),
        )
    month = dates.astype("datetime64[M]").astype("int64") - market.months[0].astype("datetime64[M]").astype("int64")
    action = made["action"].map({name: number for number, name in enumerate(ACTIONS)}).to_numpy()
    window = made["timing_window"].map({name: number for number, name in enumerate(WINDOWS)}).to_numpy()
    accepted = np.zeros(len(made), dtype=bool)
    for step in np.unique(month):
        rows = month == step
        response = response_at(settings, population, market, causes, int(step))
        chance = response.acceptance[position[rows], action[rows], window[rows]]
        accepted[rows] = noise.uniform("accepted", position[rows], int(step)) < chance
        apply_offers(shift, response, position[rows], int(step), action[rows], window[rows], accepted[rows])
    return pd.DataFrame(
        {
            "campaign": month + 1000,
            "customer": position,
            "offer_date": dates,
            "channel": 1,
            "action": action,
            "window": window,
            "propensity": made["propensity"].to_numpy() if "propensity" in made.columns else np.nan,
            "accepted": accepted,
        }
    )
