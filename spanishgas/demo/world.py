"""The demo retailer: one world, as the raw files of the contracts and as the truth behind them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from spanishgas.config import DemoSettings
from spanishgas.demo.ground_truth import Hazards, truth_at
from spanishgas.demo.hazards import Causes
from spanishgas.demo.interactions import interaction_records
from spanishgas.demo.market import Market, price_history, province_costs
from spanishgas.demo.meters import hourly_readings
from spanishgas.demo.noise import Noise
from spanishgas.demo.offers import offers_file
from spanishgas.demo.population import Days, Population
from spanishgas.demo.registers import attribute_versions, contract_terms
from spanishgas.demo.story import REGISTRATION_DAYS, Leaving, draw_story, leave, months_between


@dataclass(frozen=True)
class World:
    """Everything but the hourly readings, which are streamed by `hourly_blocks`.

    Attributes:
        settings: What the world was made from.
        tables: File name without ending -> frame, for the CSV files.
        interactions: Nested interaction records.
        ground_truth: Name -> frame; never an input of anything but replays and reports.
        summary: Facts for the report.
        population: Customers, hidden traits included.
        left_on: Last day of supply; NaT for those who stay.
    """

    settings: DemoSettings
    tables: dict[str, pd.DataFrame]
    interactions: list[dict[str, Any]]
    ground_truth: dict[str, pd.DataFrame]
    summary: dict[str, float | int | str]
    population: Population
    left_on: Days
    noise: Noise


def build_world(settings: DemoSettings, actions: pd.DataFrame | None = None) -> World:
    """Makes the world.

    Args:
        settings: Seed, size, period, kind of world; with ``until``, the same world goes on to that day.
        actions: Published recommendations that take effect after ``settings.end``: ``customer_id``, ``run_date``,
            ``action``, ``timing_window`` and, if there, ``channel``. Effects act on whole months.

    Raises:
        ContractError: The recommendations lack a column, or one is dated within the past.
    """
    last_day = settings.until or settings.end
    story = draw_story(settings, actions)
    population, market, causes, noise = story.population, story.market, story.causes, story.noise
    months, arrived, hazards, offers = market.months, story.arrived, story.hazards, story.offers
    leaving = leave(story)
    left_on = np.where(leaving.on <= np.datetime64(last_day), leaving.on, np.datetime64("NaT"))
    present = arrived & ~(months[None, :] > left_on[:, None])
    supplied = present & (months[None, :] <= np.datetime64(last_day))
    offers = offers[
        (offers["offer_date"].to_numpy().astype("datetime64[D]") <= np.datetime64(last_day))
        & ~(offers["offer_date"].to_numpy().astype("datetime64[D]") > left_on[offers["customer"].astype(int)])
    ]
    calendar_months = months_between(settings.start, last_day)
    tables = {
        "churn_label": _churn_label(population, noise, leaving, last_day),
        "customer_attributes": attribute_versions(population, noise, np.datetime64(last_day), left_on),
        "customer_contracts": contract_terms(population, noise, np.datetime64(last_day), left_on),
        "price_history": price_history(population, market, noise, supplied),
        "costs_by_province_month": province_costs(market, noise, calendar_months),
        "retention_offers": offers_file(population, offers),
    }
    records = interaction_records(population, market, causes, noise, supplied, left_on, np.datetime64(last_day))
    truth = _ground_truth(settings, population, market, causes, hazards, present, calendar_months)
    if actions is not None:
        truth["actions"] = actions
    summary = _summary(settings, truth["hazards"], tables, records, leaving, last_day, hazards.intercept)
    return World(settings, tables, records, truth, summary, population, left_on, noise)


def hourly_blocks(world: World) -> Iterator[pa.Table]:
    """The hourly readings of a world, block by block of customers, by customer and time."""
    last_day = world.settings.until or world.settings.end
    return hourly_readings(
        world.population,
        world.noise,
        world.left_on,
        world.settings.start,
        last_day,
        world.settings.block_customers,
    )


def _churn_label(population: Population, noise: Noise, leaving: Leaving, last_day: Any) -> pd.DataFrame:
    """Leavers whose registration has not arrived by the last day still stand as customers."""
    lag = 1 + (REGISTRATION_DAYS * noise.uniform("registration", population.index)).astype("int64")
    recorded = leaving.on + lag
    known = recorded <= np.datetime64(last_day)
    arrived = population.activation <= np.datetime64(last_day)
    frame = pd.DataFrame(
        {
            "customer_id": population.ids,
            "churn": known.astype(int),
            "churn_date": np.where(known, leaving.on, np.datetime64("NaT")),
            "reason": np.where(known, np.where(leaving.is_switch, "switch", "move_out"), ""),
            "recorded_at": np.where(known, recorded, np.datetime64("NaT")),
        }
    )
    frame["reason"] = frame["reason"].replace("", pd.NA)
    frame[["churn_date", "recorded_at"]] = frame[["churn_date", "recorded_at"]].astype("datetime64[s]")
    order = np.argsort(noise.uniform("label_order", population.index), kind="stable")
    return frame.iloc[order[arrived[order]]].reset_index(drop=True)


def _ground_truth(
    settings: DemoSettings,
    population: Population,
    market: Market,
    causes: Causes,
    hazards: Hazards,
    present: npt.NDArray[np.bool_],
    months: int,
) -> dict[str, pd.DataFrame]:
    told: dict[str, list[pd.DataFrame]] = {}
    for month in range(months):
        there = present[:, month] & present[:, month + 1]
        for name, frame in truth_at(settings, population, market, causes, hazards, month, there).items():
            told.setdefault(name, []).append(frame)
    return {name: pd.concat(frames, ignore_index=True).astype({"customer_id": str}) for name, frames in told.items()}


def _summary(
    settings: DemoSettings,
    truth: pd.DataFrame,
    tables: dict[str, pd.DataFrame],
    records: list[dict[str, Any]],
    leaving: Leaving,
    last_day: Any,
    intercept: float,
) -> dict[str, float | int | str]:
    left = leaving.on <= np.datetime64(last_day)
    return {
        "world": settings.world,
        "customers": settings.customers,
        "churn_rate_90d_wanted": settings.churn_rate_90d,
        "churn_rate_90d": float(truth["p_horizon"].mean()),
        "left_by_switch": int((left & leaving.is_switch).sum()),
        "left_by_move_out": int((left & ~leaving.is_switch).sum()),
        "interactions": len(records),
        "offers_made": int((tables["retention_offers"]["action"] != "none").sum()),
        "controls": int((tables["retention_offers"]["action"] == "none").sum()),
        "intercept": intercept,
    }
