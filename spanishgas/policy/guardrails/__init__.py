"""Guardrails: who may not get which offer, and why. One file each; the list below is the family."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from spanishgas.errors import ConfigError
from spanishgas.policy.economics import ACTIONS, WINDOWS
from spanishgas.policy.guardrails import (
    consent,
    contract_window,
    discount_cap,
    margin_after,
    margin_before,
    recently_contacted,
    recently_held_out,
    value,
    vulnerable,
)
from spanishgas.policy.guardrails.base import Bools, Facts, Guardrail

GUARDRAILS: tuple[Guardrail, ...] = (
    margin_before.GUARDRAIL,
    margin_after.GUARDRAIL,
    value.GUARDRAIL,
    vulnerable.GUARDRAIL,
    consent.GUARDRAIL,
    recently_contacted.GUARDRAIL,
    recently_held_out.GUARDRAIL,
    discount_cap.GUARDRAIL,
    contract_window.GUARDRAIL,
)


@dataclass(frozen=True)
class Allowed:
    """What is left after the guardrails.

    Attributes:
        offers: Shape (customers, actions, windows).
        channels: Shape (customers, channels).
        vetoes: Guardrail -> how many of a customer's options it vetoes, shape (customers,).
        total: Options of a customer before any veto.
        of_channels: Guardrails that close channels; the others take offers away.
    """

    offers: Bools
    channels: Bools
    vetoes: dict[str, np.ndarray]
    total: int
    of_channels: frozenset[str] = frozenset()

    @property
    def anyone(self) -> Bools:
        """Customers with at least one option left."""
        return np.asarray(self.offers.any(axis=(1, 2)) & self.channels.any(axis=1))


def chosen(names: Sequence[str]) -> tuple[Guardrail, ...]:
    """Guardrails by name, in that order.

    Raises:
        ConfigError: There is no such guardrail, or one is listed twice.
    """
    known = {one.name: one for one in GUARDRAILS}
    wrong = [name for name in names if name not in known] + sorted({name for name in names if names.count(name) > 1})
    if wrong:
        raise ConfigError(
            "no such guardrail, or one listed twice",
            where="policy.guardrails.order",
            examples=wrong,
            todo=f"Known guardrails: {', '.join(known)}",
        )
    return tuple(known[name] for name in names)


def apply(guardrails: Sequence[Guardrail], facts: Facts) -> Allowed:
    """Takes away what the guardrails veto; each is asked on its own."""
    count, channels = len(facts.candidates), len(facts.settings.channels)
    offers = np.ones((count, len(ACTIONS), len(WINDOWS)), bool)
    usable = np.ones((count, channels), bool)
    total = len(ACTIONS) * len(WINDOWS) * channels
    vetoes: dict[str, np.ndarray] = {}
    of_channels = set()
    for guardrail in guardrails:
        vetoed = guardrail.vetoed(facts)
        _, actions, windows, over = vetoed.shape
        spread = (len(ACTIONS) // actions) * (len(WINDOWS) // windows) * (channels // over)
        vetoes[guardrail.name] = vetoed.sum(axis=(1, 2, 3)) * spread
        if over == 1:
            offers &= ~vetoed[:, :, :, 0]
        else:
            usable &= ~vetoed[:, 0, 0, :]
            of_channels.add(guardrail.name)
    return Allowed(offers, usable, vetoes, total, frozenset(of_channels))


__all__ = ["GUARDRAILS", "Allowed", "Facts", "Guardrail", "apply", "chosen"]
