"""What the records tell of hidden traits: a particle filter for every customer, by whoever knows how the world works.

Recorded are: being a customer still, complaints and other contacts with their tone, whether complaints were resolved,
offers with their answers, prices, and all that the files tell of a customer. Hidden are frailty, sensitivity to price,
grumpiness, reactance to contact, the mood, complaints from before the first day of supply, and what will come.
Every customer has as many particles; they are drawn anew by weight where few carry most of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from spanishgas.demo.futures import Present, Told, one_future, some_of
from spanishgas.demo.ground_truth import days_in_months
from spanishgas.demo.hazards import (
    FADING,
    MOOD_MEMORY,
    MOOD_SHOCK,
    MOVE_OUT_MONTHLY,
    UNRESOLVED_SHARE,
    Bools,
    Causes,
    Standing,
    complaint_chance,
    monthly_hazard,
    mood_of,
    switch_log_hazard,
)
from spanishgas.demo.interactions import (
    TONE_EDGES,
    TONE_SHIFT,
    TONE_SPREAD,
    contact_chance,
    is_lost,
    other_contacts,
    tone_of,
)
from spanishgas.demo.market import OWN_MARKUP, TERM_MARKUP, LaterMarkup, Market, last_set_at, own_markup, term_markup
from spanishgas.demo.noise import Floats
from spanishgas.demo.offers import EFFECT_MONTHS, WINDOWS, apply_offers, response_at
from spanishgas.demo.population import Ints, Population, hidden_traits, with_traits
from spanishgas.demo.story import REGISTRATION_DAYS

# Months from an offer's month on that it can still act in.
REACH = len(WINDOWS) - 1 + EFFECT_MONTHS
TRAITS = ("frailty", "sensitivity", "grumpiness", "reactance")
CHUNK = 250
NO_CONTACT = -1


@dataclass(frozen=True)
class Evidence:
    """What was recorded up to the present, shape (customers, months) each.

    Attributes:
        recorded: Whether the customer was one in the month.
        complained: Whether a complaint is on record.
        open_ended: Whether it was left unresolved.
        contacted: Whether another contact is on record.
        tones: Tone of complaint and of other contact, or -1, shape (2, customers, months).
        action: Position of the action offered in the month, 0 for none.
        window: Position of its window.
        accepted: Whether it was accepted.
    """

    recorded: Bools
    complained: Bools
    open_ended: Bools
    contacted: Bools
    tones: Ints
    action: Ints
    window: Ints
    accepted: Bools

    def of(self, rows: npt.NDArray[np.int64] | slice) -> "Evidence":
        """That of some customers."""
        tones = self.tones[:, rows]
        others = {name: getattr(self, name)[rows] for name in self.__dataclass_fields__ if name != "tones"}
        return Evidence(tones=tones, **others)


@dataclass(frozen=True)
class Belief:
    """Equally likely ways in which customers may be, shape (customers, particles) each.

    Attributes:
        traits: Hidden traits by name.
        state: The part of the mood that wanders, at the present.
        open_ended: Unresolved complaints of the last three months, newest first, one more axis.
        shift: What past offers do to the log hazard of the months after the present, one more axis.
        gone: Whether the customer has left without being registered yet.
        markup: Change of the log price of later terms, against the customer's own.
    """

    traits: dict[str, Floats]
    state: Floats
    open_ended: Bools
    shift: Floats
    gone: Bools
    markup: Floats


def evidence_of(present: Present) -> Evidence:
    """What is on record of the customers."""
    story, rows, until = present.story, present.rows, present.month + 1
    recorded = story.arrived[rows, :until]
    month, customer = np.arange(until)[None, :], rows[:, None]
    mood = story.causes.mood[rows, :until]
    complaints = story.causes.complaints[rows, :until]
    others = other_contacts(story.population, story.causes, story.noise)[rows, :until]
    known = [
        happens & recorded & ~is_lost(story.noise, customer, month, kind)
        for kind, happens in enumerate((complaints, others))
    ]
    tones = np.stack([tone_of(story.noise, customer, month, mood, kind) for kind in range(2)])
    action, window = np.zeros(recorded.shape, np.int64), np.zeros(recorded.shape, np.int64)
    accepted = np.zeros(recorded.shape, bool)
    place = np.full(len(story.population), -1)
    place[rows] = np.arange(len(rows))
    offers = story.offers
    if len(offers):
        made = offers["offer_date"].to_numpy().astype("datetime64[M]").astype("int64")
        when = made - story.market.months[0].astype("datetime64[M]").astype("int64")
        who = place[offers["customer"].to_numpy(np.int64)]
        some = who >= 0
        for array, name in ((action, "action"), (window, "window"), (accepted, "accepted")):
            array[who[some], when[some]] = offers[name].to_numpy()[some]
    return Evidence(
        recorded=recorded,
        complained=known[0],
        open_ended=known[0] & story.causes.open_ended[rows, :until],
        contacted=known[1],
        tones=np.where(np.stack(known), tones, NO_CONTACT),
        action=action,
        window=window,
        accepted=accepted,
    )


def believe(present: Present, evidence: Evidence, *, particles: int, seed: int) -> Belief:
    """What the evidence tells of the customers.

    Args:
        present: The present.
        evidence: What was recorded of them.
        particles: Particles per customer.
        seed: Seed of the filter.
    """
    parts = []
    for start in range(0, max(len(present.rows), 1), CHUNK):
        rows = np.arange(start, min(start + CHUNK, len(present.rows)))
        generator = np.random.default_rng([seed, start])
        parts.append(_Filter(present, rows, evidence.of(rows), particles, generator).run())
    names = [name for name in Belief.__dataclass_fields__ if name != "traits"]
    whole = {name: np.concatenate([getattr(one, name) for one in parts]) for name in names}
    return Belief({name: np.concatenate([one.traits[name] for one in parts]) for name in TRAITS}, **whole)


def believed_futures(present: Present, belief: Belief) -> Iterator[Told]:
    """One future per particle: the market is the same for all customers, each is as its particle says."""
    months = present.story.hazards.past_shift.shape[1]
    for number in range(belief.state.shape[1]):
        shift = np.zeros((len(present.rows), months))
        ahead = slice(present.month + 1, present.month + 1 + belief.shift.shape[2])
        shift[:, ahead] = belief.shift[:, number]
        yield one_future(
            present,
            f"imagined {number}",
            population=with_traits(present.population, {name: belief.traits[name][:, number] for name in TRAITS}),
            shift=shift,
            gone=belief.gone[:, number],
            standing=Standing(present.month, belief.state[:, number], belief.open_ended[:, number]),
            later=LaterMarkup(present.month, belief.markup[:, number]),
        )


class _Filter:
    """The filter of some customers; particles of a customer stand in a row."""

    def __init__(
        self, present: Present, rows: Ints, evidence: Evidence, particles: int, generator: np.random.Generator
    ) -> None:
        story = present.story
        self.story, self.month, self.evidence = story, present.month, evidence
        self.count, self.particles, self.generator = len(rows), particles, generator
        self.place = present.rows[rows]
        self.one_each = some_of(present.population, rows)
        self.people = some_of(self.one_each, np.repeat(np.arange(self.count), particles))
        size = self.count * particles
        normal = generator.standard_normal
        self.state: dict[str, npt.NDArray[np.float64]] = {
            **hidden_traits(self.people.segment, self.people.channel, lambda _: normal(size)),
            "mood": normal(size),
            "open": np.zeros((size, len(FADING))),
            "shift": np.zeros((size, REACH)),
            "gone": np.zeros(size),
        }
        self.weight = np.zeros((self.count, particles))

    def run(self) -> Belief:
        for month in range(self.month + 1):
            self._step(month)
            self._draw_again(np.flatnonzero(self._effective() < self.particles / 2))
        self._draw_again(np.arange(self.count))
        shape = (self.count, self.particles)
        gone = self.state["gone"].reshape(shape) > self.generator.random(shape)
        return Belief(
            traits={name: self.state[name].reshape(shape) for name in TRAITS},
            state=self.state["mood"].reshape(shape),
            open_ended=self.state["open"].reshape(*shape, -1) > 0,
            shift=self.state["shift"].reshape(*shape, -1),
            gone=gone,
            markup=self._markup(),
        )

    def _step(self, month: int) -> None:
        state, told = self.state, self.evidence
        size = len(state["mood"])
        state["mood"] = MOOD_MEMORY * state["mood"] + MOOD_SHOCK * self.generator.standard_normal(size)
        people = with_traits(self.people, state)
        market, causes = self._at(month, people)
        self._offers(month, people, market, causes)
        hazard = monthly_hazard(
            self.story.hazards.intercept,
            switch_log_hazard(people, market, causes)[:, 0] + state["shift"][:, 0],
        )
        leaves = 1 - (1 - hazard) * (1 - MOVE_OUT_MONTHLY)
        if month == self.month:
            # Who left late in the month may not be registered yet.
            unseen = (REGISTRATION_DAYS + 1) / 2 / days_in_months(self.story.market)[month]
            state["gone"] = leaves * unseen / (1 - leaves + leaves * unseen)
            leaves = leaves * (1 - unseen)
        mood = causes.mood[:, 0]
        complains, others = complaint_chance(mood), contact_chance(mood, causes.renewal[:, 0])
        found = np.log1p(-leaves)
        for chance, happened in ((complains, told.complained), (others, told.contacted)):
            found += np.where(self._each(happened[:, month]), np.log(chance), np.log1p(-chance))
        found = np.where(self._each(told.recorded[:, month]), found, 0.0)
        for kind in range(len(TONE_SHIFT)):
            self._tones(month, kind, mood, found)
        self.weight += found.reshape(self.weight.shape)
        unseen_open = (self.generator.random(size) < complains) & (self.generator.random(size) < UNRESOLVED_SHARE)
        now = np.where(self._each(told.recorded[:, month]), self._each(told.open_ended[:, month]), unseen_open)
        state["open"] = np.column_stack([now, state["open"][:, :-1]])
        state["shift"] = np.column_stack([state["shift"][:, 1:], np.zeros(size)])

    def _at(self, month: int, people: Population) -> tuple[Market, Causes]:
        """Market and causes of one month, as the particles have them."""
        whole, step = self.story.market, slice(month, month + 1)

        def known(values: Any) -> Any:
            return self._each(values[self.place, step])

        market = Market(
            whole.months[step], whole.level[step], whole.wholesale[step],
            *(known(getattr(whole, name)) for name in ("price", "gap", "rise", "to_renewal")),
        )  # fmt: skip
        mood = mood_of(people.grumpiness[:, None], self.state["mood"][:, None], market.rise)
        causes = self.story.causes
        unresolved = (self.state["open"] @ np.array(FADING))[:, None]
        none = np.zeros(mood.shape, bool)
        return market, Causes(mood, none, unresolved, known(causes.renewal), known(causes.tenure_years), mood, none)

    def _offers(self, month: int, people: Population, market: Market, causes: Causes) -> None:
        """Lets the month's offers act, and weighs their answers."""
        told = self.evidence
        offered = np.flatnonzero((told.action[:, month] > 0) & told.recorded[:, month])
        if not len(offered):
            return
        rows = self._rows(offered)
        action, window, accepted = (
            np.repeat(values[offered, month], self.particles) for values in (told.action, told.window, told.accepted)
        )
        some = replace(market, **{name: getattr(market, name)[rows] for name in ("price", "gap", "rise", "to_renewal")})
        why = Causes(**{name: getattr(causes, name)[rows] for name in Causes.__dataclass_fields__})
        response = response_at(self.story.settings, some_of(people, rows), some, why, 0)
        each = np.arange(len(rows))
        chance = response.acceptance[each, action, window]
        answered = np.log(np.where(accepted, chance, 1 - chance))
        self.weight[offered] += answered.reshape(len(offered), self.particles)
        shift = np.zeros((len(rows), REACH))
        apply_offers(shift, response, each, 0, action, window, accepted)
        self.state["shift"][rows] += shift

    def _tones(self, month: int, kind: int, mood: Floats, found: Floats) -> None:
        tone = self.evidence.tones[kind, :, month]
        heard = np.flatnonzero(tone != NO_CONTACT)
        rows = self._rows(heard)
        edges = np.array([-np.inf, *TONE_EDGES, np.inf])
        place = np.repeat(tone[heard], self.particles)
        score = mood[rows] + TONE_SHIFT[kind]
        below, above = (ndtr((edges[place + step] - score) / TONE_SPREAD) for step in (0, 1))
        found[rows] += np.log(np.maximum(above - below, 1e-12))

    def _each(self, values: Any) -> Any:
        """What is known of customers, for each of their particles."""
        return np.repeat(values, self.particles, axis=0)

    def _rows(self, customers: Ints) -> Ints:
        return np.asarray((customers[:, None] * self.particles + np.arange(self.particles)[None, :]).ravel())

    def _shares(self) -> Floats:
        shares = np.exp(self.weight - self.weight.max(axis=1, keepdims=True))
        return np.asarray(shares / shares.sum(axis=1, keepdims=True))

    def _effective(self) -> Floats:
        return np.asarray(1 / (self._shares() ** 2).sum(axis=1))

    def _draw_again(self, customers: Ints) -> None:
        """Draws particles of some customers by weight, evenly spaced; after it they weigh the same."""
        if not len(customers):
            return
        edges = np.cumsum(self._shares()[customers], axis=1)
        edges[:, -1] = 1.0
        offset = np.arange(len(customers))[:, None]
        wanted = (np.arange(self.particles)[None, :] + self.generator.random((len(customers), 1))) / self.particles
        picked = np.searchsorted((edges + offset).ravel(), (wanted + offset).ravel(), side="right")
        picked = np.clip(picked.reshape(wanted.shape) - offset * self.particles, 0, self.particles - 1)
        source = (customers[:, None] * self.particles + picked).ravel()
        target = self._rows(customers)
        for values in self.state.values():
            values[target] = values[source]
        self.weight[customers] = 0.0

    def _markup(self) -> Floats:
        """What later terms may have on top, from the terms on record: a normal prior and normal terms."""
        recorded = self.evidence.recorded
        until = recorded.shape[1]
        last_set = np.maximum(last_set_at(self.story.market.to_renewal[self.place])[:, :until], -1)
        own = own_markup(self.one_each, self.story.noise)
        told = own[:, None] + term_markup(self.one_each, self.story.noise, last_set)
        before = np.hstack([np.zeros((self.count, 1), bool), recorded[:, :-1]])
        same = np.hstack([np.zeros((self.count, 1), bool), last_set[:, 1:] == last_set[:, :-1]])
        begins = recorded & ~(before & same)
        precision = OWN_MARKUP**-2 + begins.sum(axis=1) * TERM_MARKUP**-2
        mean = (told * begins).sum(axis=1) * TERM_MARKUP**-2 / precision
        drawn = self.generator.standard_normal((self.count, self.particles))
        return np.asarray((mean - own)[:, None] + drawn / np.sqrt(precision)[:, None])
