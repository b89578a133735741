"""The customer register and the contract register, every version of them."""

import numpy as np
import pandas as pd

from spanishgas.demo.noise import Noise
from spanishgas.demo.population import (
    CORPORATE,
    REGIONS,
    SALES_CHANNELS,
    SECOND_HOME,
    SME,
    Days,
    Population,
)

TERM_MONTHS = 12
TERMS_KEPT_BEFORE = 1
PRODUCT_CHANGE_SHARE = 0.25


def attribute_versions(population: Population, noise: Noise, last_day: np.datetime64, left_on: Days) -> pd.DataFrame:
    """The attributes file: a first version at activation, then one per change of vulnerability or consent."""
    first = population.activation
    events = np.stack([first, population.vulnerable_since, population.consent_change], axis=1)
    changes = np.stack(
        [
            np.ones(len(population), bool),
            population.vulnerable & (population.vulnerable_since > first),
            (population.consent_change > first),
        ],
        axis=1,
    )
    changes &= (events <= last_day) & ~(events > left_on[:, None])
    customer, kind = np.nonzero(changes)
    when = events[customer, kind]
    withdrawn = population.consent_change[customer] <= when
    flips = noise.uniform("flip", customer) < 0.5
    frame = pd.DataFrame(
        {
            "customer_id": population.ids[customer],
            "contracted_power_kw": population.power_kw[customer],
            "is_industrial": np.isin(population.segment[customer], (SME, CORPORATE)).astype(int),
            "is_second_residence": (population.segment[customer] == SECOND_HOME).astype(int),
            "province_code": population.province[customer],
            "region": pd.Series(population.province[customer]).map(REGIONS).fillna("Otra"),
            "is_high_competition_province": population.competition[customer].astype(int),
            "is_urban": population.urban[customer].astype(int),
            "sales_channel": np.array(SALES_CHANNELS)[population.channel[customer]],
            "is_vulnerable": (population.vulnerable[customer] & (population.vulnerable_since[customer] <= when)).astype(
                int
            ),
            "marketing_consent": (population.marketing[customer] ^ (withdrawn & flips)).astype(int),
            "phone_consent": (population.phone[customer] ^ (withdrawn & ~flips)).astype(int),
            "recorded_at": when.astype("datetime64[s]"),
        }
    )
    order = np.argsort(noise.uniform("attribute_order", customer, kind), kind="stable")
    return frame.iloc[order].reset_index(drop=True)


def contract_terms(population: Population, noise: Noise, last_day: np.datetime64, left_on: Days) -> pd.DataFrame:
    """The contracts file: one row per yearly term begun by the last day; older terms are not in the extract."""
    age_months = (last_day.astype("datetime64[M]") - population.activation.astype("datetime64[M]")).astype("int64")
    current = np.maximum(age_months // TERM_MONTHS, 0)
    oldest = int(np.ceil((last_day - np.datetime64("2023-01-01")).astype("int64") / 365.25)) + TERMS_KEPT_BEFORE
    term = np.maximum(current[:, None] - np.arange(oldest)[None, :], 0)
    customer, position = np.nonzero(np.arange(oldest)[None, :] <= current[:, None])
    number = term[customer, position]
    start = _anniversary(population.activation[customer], number)
    end = _anniversary(population.activation[customer], number + 1)
    begun = (start <= last_day) & ~(start > left_on[customer]) & (population.activation[customer] <= last_day)
    customer, number, start, end = customer[begun], number[begun], start[begun], end[begun]
    frame = pd.DataFrame(
        {
            "customer_id": population.ids[customer],
            "customer_first_activation_date": population.activation[customer].astype("datetime64[s]"),
            "contract_start_date": start.astype("datetime64[s]"),
            "last_product_change_date": _last_change(population, noise, customer, number),
            "next_renewal_date": end.astype("datetime64[s]"),
        }
    )
    order = np.argsort(noise.uniform("contract_order", customer, number), kind="stable")
    return frame.iloc[order].reset_index(drop=True)


def _anniversary(activation: Days, years: np.ndarray) -> Days:
    """The day some years after activation; 29 February becomes 1 March."""
    month = activation.astype("datetime64[M]")
    day = (activation - month.astype("datetime64[D]")).astype("int64")
    return np.asarray((month + years * TERM_MONTHS).astype("datetime64[D]") + day)


def _last_change(population: Population, noise: Noise, customer: np.ndarray, number: np.ndarray) -> Days:
    """Products change at renewals now and then; the last change at or before the term's start, or missing."""
    found = np.full(len(customer), np.datetime64("NaT"), dtype="datetime64[D]")
    for back in range(5, -1, -1):
        term = number - back
        changed = (term >= 1) & (noise.uniform("product_change", customer, np.maximum(term, 0)) < PRODUCT_CHANGE_SHARE)
        found = np.where(changed, _anniversary(population.activation[customer], np.maximum(term, 0)), found)
    return found.astype("datetime64[s]")
