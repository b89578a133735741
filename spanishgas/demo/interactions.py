"""Interactions: when customers get in touch, about what, and in which tone: that of the mood, not of the label."""

from typing import Any

import numpy as np
import numpy.typing as npt

from spanishgas.demo.hazards import UNRESOLVED_SHARE, Causes
from spanishgas.demo.market import Market
from spanishgas.demo.noise import Noise
from spanishgas.demo.population import Days, Population
from spanishgas.demo.texts import BODIES, CLOSINGS, MONTHS, OPENINGS, TONES, TOPICS

# Codes as the source writes them; the last is not in the contract and arrives as unknown.
CHANNEL_CODES = ("phone", "email", "web", "app", "office", "chat", "whatsapp")
CHANNEL_SHARES = (0.52, 0.2, 0.1, 0.07, 0.06, 0.04, 0.01)
TOPIC_SHARES = {"billing": 0.2, "renewal": 0.3, "pricing": 0.16, "plan": 0.12, "account": 0.18, "cancellation": 0.04}
SPANISH_SHARE = 0.7


def interaction_records(
    population: Population,
    market: Market,
    causes: Causes,
    noise: Noise,
    supplied: npt.NDArray[np.bool_],
    left_on: Days,
    last_day: np.datetime64,
) -> list[dict[str, Any]]:
    """The interactions as nested records, with a few missing ids and exact duplicates among them.

    Args:
        population: Customers.
        market: Price paths.
        causes: Moods and complaints.
        noise: Draws.
        supplied: Whether the customer is supplied in the month, shape (customers, months).
        left_on: Last day of supply; NaT for those who stay.
        last_day: Last day of history.
    """
    month_index = np.arange(market.gap.shape[1])[None, :]
    customer_index = population.index[:, None]
    chance = 0.021 * np.exp(0.25 * causes.mood + 0.9 * causes.renewal)
    other = noise.uniform("other_contact", customer_index, month_index) < chance
    records: list[tuple[float, dict[str, Any]]] = []
    for kind, happens in ((0, causes.complaints), (1, other)):
        customer, month = np.nonzero(happens & supplied)
        day = market.months[month] + noise.choice("contact_day", np.ones(28), customer, month, kind)
        seen = (day > population.activation[customer]) & (day <= last_day) & ~(day > left_on[customer])
        customer, month, day = customer[seen], month[seen], day[seen]
        records.extend(_records(population, causes, noise, customer, month, day, kind))
    records.sort(key=lambda pair: pair[0])
    return [record for _, record in records]


def _records(
    population: Population,
    causes: Causes,
    noise: Noise,
    customer: npt.NDArray[np.int64],
    month: npt.NDArray[np.int64],
    day: Days,
    kind: int,
) -> list[tuple[float, dict[str, Any]]]:
    key = (customer, month, kind)
    tone_score = causes.mood[customer, month] + 0.9 * noise.normal("tone", *key) + (0.9 if kind == 0 else -0.5)
    tone = np.digitize(tone_score, [-0.6, 1.0])  # 0 positive, 1 neutral, 2 negative
    others = [topic for topic in TOPICS if topic != "complaint"]
    topic = noise.choice("topic", [TOPIC_SHARES[name] for name in others], *key)
    channel = noise.choice("contact_channel", CHANNEL_SHARES, *key)
    spanish = noise.uniform("language", customer) < SPANISH_SHARE
    resolved = (
        noise.uniform("unresolved", customer, month) >= UNRESOLVED_SHARE if kind == 0 else np.ones(len(customer), bool)
    )
    picks = noise.uniform("wording", *key)
    amount = np.round(15 + 120 * noise.uniform("amount", *key), 2)
    lost_id, twice = noise.uniform("lost_id", *key) < 0.004, noise.uniform("twice", *key) < 0.006
    order = noise.uniform("interaction_order", *key)
    made: list[tuple[float, dict[str, Any]]] = []
    for row in range(len(customer)):
        language = "es" if spanish[row] else "en"
        subject = "complaint" if kind == 0 else others[topic[row]]
        when = day[row].astype(object)
        words = (
            _pick(OPENINGS[language, TONES[2 - tone[row]]], picks[row]),
            _pick(BODIES[language, subject], picks[row] * 7),
        )
        ending = _pick(CLOSINGS[language, bool(resolved[row])], picks[row] * 13)
        text = " ".join(part for part in (*words, ending) if part)
        text = text.format(amount=f"{amount[row]:.2f}", month=MONTHS[language][when.month - 1])
        record = {
            "customer": {"id": None if lost_id[row] else str(population.ids[customer[row]])},
            "interaction": {"date": when.isoformat(), "channel": CHANNEL_CODES[channel[row]], "summary": text},
        }
        made.extend([(order[row], record)] * (2 if twice[row] else 1))
    return made


def _pick(options: tuple[str, ...], number: float) -> str:
    return options[int((number % 1.0) * len(options))]
