"""What offers do: who accepts, who stays because of it, and who leaves because somebody called."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from spanishgas.config import DemoSettings
from spanishgas.demo.hazards import Causes
from spanishgas.demo.market import Market
from spanishgas.demo.noise import Floats, Noise
from spanishgas.demo.population import Ints, Population

ACTIONS = ("none", "small", "medium", "large")
WINDOWS = ("immediate", "30_60", "60_90")
CHANNELS = ("phone", "email", "letter", "sms")
STRENGTH = np.array([0.0, 0.35, 0.65, 1.0])
EFFECT_MONTHS = 3
CAMPAIGN_EVERY_MONTHS = 1
ELIGIBLE_MONTHS_TO_RENEWAL = 2
# Known propensities of (none, small, medium, large): dear customers were given more.
PROPENSITIES = np.array([[0.55, 0.20, 0.15, 0.10], [0.40, 0.20, 0.20, 0.20]])


@dataclass(frozen=True)
class Response:
    """How customers respond in one month, shape (customers,) or (customers, months).

    Attributes:
        acceptance: Probability of accepting each action in each window, shape (..., 4 actions, 3 windows).
        accepted_shift: Change of the log switch hazard after accepting, shape (..., 4).
        contact_shift: Change of the log switch hazard from being contacted at all.
    """

    acceptance: Floats
    accepted_shift: Floats
    contact_shift: Floats


def response_at(settings: DemoSettings, population: Population, market: Market, causes: Causes, month: int) -> Response:
    """True response of every customer to every offer made in a month.

    In the ``loglinear`` world traits add up. In the world with ``interactions`` a discount works on those who pay too
    much and are about to renew, hardly on long-standing customers, and timing matters by the renewal date.
    """
    dear = np.clip(market.gap[:, month], -0.25, 0.45)
    renewal = causes.renewal[:, month]
    late = np.array([0.0, -0.25, -0.5])
    base = -0.9 + 0.6 * np.log(population.sensitivity) + 1.5 * dear - 0.3 * causes.mood[:, month]
    logit = base[:, None, None] + 1.7 * STRENGTH[None, :, None] + late[None, None, :]
    shift = -(0.35 + 1.25 * STRENGTH)[None, :] * np.ones((len(population), 1))
    contact = 0.75 * np.maximum(population.reactance, 0.0) - 0.08
    if settings.world == "interactions":
        loyal = causes.tenure_years[:, month] > 5
        wanted = (dear > 0.03)[:, None] * STRENGTH[None, :] * 2.0 - loyal[:, None] * STRENGTH[None, :] * 1.4
        logit = logit + wanted[:, :, None]
        soon = (renewal > 0.4)[:, None, None]
        logit = logit + np.where(soon, np.array([0.5, -0.2, -0.9]), np.array([-0.6, 0.1, 0.3])) * 0.8
        shift = shift * (0.6 + 0.9 * (dear > 0.03))[:, None]
        contact = contact + 0.5 * ((causes.unresolved[:, month] > 0) & (population.grumpiness > 0))
    acceptance = 1 / (1 + np.exp(-logit))
    acceptance[:, 0, :] = 0.0
    shift[:, 0] = 0.0
    return Response(acceptance, shift, contact)


@dataclass(frozen=True)
class PastOffers:
    """Campaigns of the past: what was done to whom, and what it does to the hazards.

    Attributes:
        rows: One row per eligible customer and campaign, with positions instead of names.
        shift: Change of the log switch hazard, shape (customers, months).
    """

    rows: pd.DataFrame
    shift: Floats


def draw_campaigns(
    settings: DemoSettings, population: Population, market: Market, causes: Causes, noise: Noise, months_of_history: int
) -> PastOffers:
    """Draws monthly campaigns at random, propensities known, among customers about to renew who may be contacted."""
    shift = np.zeros(market.gap.shape)
    rows: list[pd.DataFrame] = []
    for month in range(CAMPAIGN_EVERY_MONTHS, months_of_history, CAMPAIGN_EVERY_MONTHS):
        eligible = np.nonzero(
            (market.to_renewal[:, month] <= ELIGIBLE_MONTHS_TO_RENEWAL)
            & (market.to_renewal[:, month] > 0)
            & population.marketing
            & ~population.vulnerable
            & (market.months[month] > population.activation)
        )[0]
        # Everyone comes up in two campaigns before a renewal; a coin decides in which of them.
        eligible = eligible[noise.uniform("campaign", eligible, month // 2) < 0.5]
        if not len(eligible):
            continue
        chances = PROPENSITIES[(market.gap[eligible, month] > 0).astype(int)]
        draw = noise.uniform("action", eligible, month)
        action = (draw[:, None] > np.cumsum(chances, axis=1)).sum(axis=1).clip(0, 3)
        window = noise.choice("window", (1, 1, 1), eligible, month)
        channel = noise.choice("offer_channel", (0.35, 0.45, 0.12, 0.08), eligible, month)
        channel = np.where(~population.phone[eligible] & (channel == 0), 1, channel)
        response = response_at(settings, population, market, causes, month)
        accepted = noise.uniform("accepted", eligible, month) < response.acceptance[eligible, action, window]
        apply_offers(shift, response, eligible, month, action, window, accepted)
        rows.append(
            pd.DataFrame(
                {
                    "campaign": month,
                    "customer": eligible,
                    "offer_date": market.months[month] + noise.choice("offer_day", (1, 1, 1, 1), eligible, month),
                    "channel": channel,
                    "action": action,
                    "window": window,
                    "propensity": np.take_along_axis(chances, action[:, None], axis=1)[:, 0],
                    "accepted": accepted,
                }
            )
        )
    columns = ["campaign", "customer", "offer_date", "channel", "action", "window", "propensity", "accepted"]
    return PastOffers(pd.concat(rows, ignore_index=True) if rows else pd.DataFrame(columns=columns), shift)


def apply_offers(
    shift: Floats,
    response: Response,
    customer: Ints,
    month: int,
    action: Ints,
    window: Ints,
    accepted: npt.NDArray[np.bool_],
) -> None:
    """Adds the effect of offers to the hazards' shifts, in place, on whole months from the window's start on."""
    effect = np.where(accepted, response.accepted_shift[customer, action], 0.0) + response.contact_shift[customer]
    effect = np.where(action == 0, 0.0, effect)
    for ahead in range(EFFECT_MONTHS):
        target = month + window + ahead
        inside = target < shift.shape[1]
        np.add.at(shift, (customer[inside], target[inside]), effect[inside])


def offers_file(population: Population, rows: pd.DataFrame) -> pd.DataFrame:
    """The `retention_offers` file."""
    action = np.array(ACTIONS)[rows["action"].astype(int)]
    offered = action != "none"
    return pd.DataFrame(
        {
            "campaign_id": "K" + rows["campaign"].astype(int).astype(str).str.zfill(3),
            "customer_id": population.ids[rows["customer"].astype(int)],
            "offer_date": rows["offer_date"],
            "channel": np.where(offered, np.array(CHANNELS)[rows["channel"].astype(int)], "none"),
            "action": action,
            "timing_window": np.where(offered, np.array(WINDOWS)[rows["window"].astype(int)], "none"),
            "propensity": rows["propensity"].astype(float),
            "accepted": np.where(offered, rows["accepted"].astype(bool), False).astype(int),
        }
    )
