"""Interactions: when customers get in touch, about what, and in which tone: that of the mood, not of the label."""

from typing import Any

import numpy as np
import numpy.typing as npt

from spanishgas.demo.hazards import UNRESOLVED_SHARE, Causes
from spanishgas.demo.market import Market
from spanishgas.demo.noise import Floats, Noise
from spanishgas.demo.population import Days, Population
from spanishgas.demo.texts import BODIES, CLOSINGS, MONTHS, OPENINGS, TONES, TOPICS

# Codes as the source writes them; the last is not in the contract and arrives as unknown.
CHANNEL_CODES = ("phone", "email", "web", "app", "office", "chat", "whatsapp")
CHANNEL_SHARES = (0.52, 0.2, 0.1, 0.07, 0.06, 0.04, 0.01)
TOPIC_SHARES = {"billing": 0.2, "renewal": 0.3, "pricing": 0.16, "plan": 0.12, "account": 0.18, "cancellation": 0.04}
SPANISH_SHARE = 0.7
# A note's tone: the mood with an error, complaints sounding worse than other contacts, cut at two edges.
TONE_SPREAD = 0.9
TONE_SHIFT = (0.9, -0.5)
TONE_EDGES = (-0.6, 1.0)
LOST_SHARE = 0.004


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
    other = other_contacts(population, causes, noise)
    records: list[tuple[float, dict[str, Any]]] = []
    for kind, happens in ((0, causes.complaints), (1, other)):
        customer, month = np.nonzero(happens & supplied)
        day = market.months[month] + noise.choice("contact_day", np.ones(28), customer, month, kind)
        seen = (day > population.activation[customer]) & (day <= last_day) & ~(day > left_on[customer])
        customer, month, day = customer[seen], month[seen], day[seen]
        records.extend(_records(population, causes, noise, customer, month, day, kind))
    records.sort(key=lambda pair: pair[0])
    return [record for _, record in records]


def other_contacts(population: Population, causes: Causes, noise: Noise) -> npt.NDArray[np.bool_]:
    """Whether the customer gets in touch in the month other than to complain, shape (customers, months)."""
    month = np.arange(causes.mood.shape[1])[None, :]
    chance = contact_chance(causes.mood, causes.renewal)
    return np.asarray(noise.uniform("other_contact", population.index[:, None], month) < chance)


def contact_chance(mood: Floats, renewal: Floats) -> Floats:
    """Probability of getting in touch within the month other than to complain."""
    return np.asarray(0.021 * np.exp(0.25 * mood + 0.9 * renewal))


def tone_of(noise: Noise, customer: Any, month: Any, mood: Floats, kind: int) -> npt.NDArray[np.int64]:
    """Tone of a contact: 0 positive, 1 neutral, 2 negative; ``kind`` is 0 for a complaint, 1 for another contact."""
    score = mood + TONE_SPREAD * noise.normal("tone", customer, month, kind) + TONE_SHIFT[kind]
    return np.digitize(score, TONE_EDGES)


def is_lost(noise: Noise, customer: Any, month: Any, kind: int) -> npt.NDArray[np.bool_]:
    """Whether the record of a contact lacks its customer."""
    return np.asarray(noise.uniform("lost_id", customer, month, kind) < LOST_SHARE)


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
    tone = tone_of(noise, *key[:2], causes.mood[customer, month], kind)
    others = [topic for topic in TOPICS if topic != "complaint"]
    topic = noise.choice("topic", [TOPIC_SHARES[name] for name in others], *key)
    channel = noise.choice("contact_channel", CHANNEL_SHARES, *key)
    spanish = noise.uniform("language", customer) < SPANISH_SHARE
    resolved = (
        noise.uniform("unresolved", customer, month) >= UNRESOLVED_SHARE if kind == 0 else np.ones(len(customer), bool)
    )
    picks = noise.uniform("wording", *key)
    amount = np.round(15 + 120 * noise.uniform("amount", *key), 2)
    lost_id, twice = is_lost(noise, *key), noise.uniform("twice", *key) < 0.006
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
