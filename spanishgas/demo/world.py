"""The demo retailer: one world, as the raw files of the contracts and as the truth behind them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from spanishgas.config import DemoSettings
from spanishgas.demo.ground_truth import MONTHS_TOLD, Hazards, days_in_months, truth_at
from spanishgas.demo.hazards import (
    MOVE_OUT_MONTHLY,
    Causes,
    calibrate,
    draw_causes,
    monthly_hazard,
    switch_log_hazard,
)
from spanishgas.demo.interactions import interaction_records
from spanishgas.demo.market import Market, draw_market, price_history, province_costs
from spanishgas.demo.meters import hourly_readings
from spanishgas.demo.noise import Floats, Noise
from spanishgas.demo.offers import ACTIONS, WINDOWS, apply_offers, draw_campaigns, offers_file, response_at
from spanishgas.demo.population import Days, Population, draw_population, month_starts
from spanishgas.demo.registers import attribute_versions, contract_terms
from spanishgas.errors import ContractError

MONTHS_AHEAD = MONTHS_TOLD + 2
REGISTRATION_DAYS = 14


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
    noise = Noise(settings.seed)
    last_day = settings.until or settings.end
    history = _months_between(settings.start, settings.end)
    months = month_starts(settings.start, _months_between(settings.start, last_day) + MONTHS_AHEAD)
    population = draw_population(settings, noise)
    market = draw_market(population, noise, months)
    causes = draw_causes(population, market, noise)
    log_switch = switch_log_hazard(population, market, causes)
    arrived = population.activation[:, None] < months[None, :]
    intercept = calibrate(settings, log_switch, arrived, history)
    past = draw_campaigns(settings, population, market, causes, noise, history)
    shift, offers = past.shift, past.rows
    if actions is not None:
        offers = pd.concat(
            [offers, _act(settings, population, market, causes, noise, shift, actions)], ignore_index=True
        )
    hazards = Hazards(intercept, log_switch, shift)
    leaving = _leave(population, market, noise, hazards, arrived)
    left_on = np.where(leaving.on <= np.datetime64(last_day), leaving.on, np.datetime64("NaT"))
    present = arrived & ~(months[None, :] > left_on[:, None])
    supplied = present & (months[None, :] <= np.datetime64(last_day))
    offers = offers[
        (offers["offer_date"].to_numpy().astype("datetime64[D]") <= np.datetime64(last_day))
        & ~(offers["offer_date"].to_numpy().astype("datetime64[D]") > left_on[offers["customer"].astype(int)])
    ]
    calendar_months = _months_between(settings.start, last_day)
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
    summary = _summary(settings, truth["hazards"], tables, records, leaving, last_day, intercept)
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


@dataclass(frozen=True)
class _Leaving:
    on: Days
    is_switch: npt.NDArray[np.bool_]


def _months_between(first: date, last: date) -> int:
    return int((last.year - first.year) * 12 + last.month - first.month + 1)


def _leave(
    population: Population, market: Market, noise: Noise, hazards: Hazards, arrived: npt.NDArray[np.bool_]
) -> _Leaving:
    """Throws the dice: in which month, on which day and why each customer leaves."""
    customer, month = population.index[:, None], np.arange(len(market.months))[None, :]
    switch = monthly_hazard(hazards.intercept, hazards.log_switch + hazards.past_shift)
    stay = np.where(arrived, (1 - switch) * (1 - MOVE_OUT_MONTHLY), 1.0)
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
    return _Leaving(on, noise.uniform("reason", index) < share)


def _churn_label(population: Population, noise: Noise, leaving: _Leaving, last_day: Any) -> pd.DataFrame:
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
    leaving: _Leaving,
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
