"""Futures of a demo world, for the replay: from the settings and tables of its published ground truth."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd

from spanishgas.config import DemoSettings, SimulationSettings
from spanishgas.demo.belief import believe, believed_futures, evidence_of
from spanishgas.demo.futures import Told, foreseen, futures, present_at
from spanishgas.engine.session import Engine
from spanishgas.engine.store import Manifest, TableStore
from spanishgas.policy.economics import Response
from spanishgas.policy.replay import Outlooks, Truth
from spanishgas.stages.truth import ACTIONS, WORLD


@dataclass(frozen=True)
class Each:
    """Truths that are drawn whenever they are gone through."""

    draw: Callable[[], Iterator[Told]]

    def __iter__(self) -> Iterator[Truth]:
        for one in self.draw():
            response = Response(one.acceptance, one.accepted_ratio, one.refused_ratio)
            yield Truth(one.hazards, one.margin, one.bill, response)


def demo_outlooks(
    engine: Engine, store: TableStore, truth: Manifest, as_of: date, settings: SimulationSettings
) -> Callable[[npt.NDArray[np.object_]], Outlooks] | None:
    """Who tells the futures of customers after a date; None where the ground truth does not say which world it is of.

    Args:
        engine: Reads the recommendations that took effect in the world.
        store: Published tables.
        truth: The published ground truth.
        as_of: Last day of a month of the world.
        settings: Number of futures and of particles, seed of the filter.
    """
    if WORLD not in truth.tags:
        return None
    world = DemoSettings.model_validate_json(truth.tags[WORLD])
    actions: pd.DataFrame | None = None
    if ACTIONS in truth.tables:
        actions = engine.frame(engine.scan(store.files(truth, ACTIONS)))

    def tell(customers: npt.NDArray[np.object_]) -> Outlooks:
        present = present_at(world, as_of, customers, actions)
        belief = believe(present, evidence_of(present), particles=settings.particles, seed=settings.seed)
        return Outlooks(
            futures=Each(lambda: futures(present, settings.futures)),
            with_traits=Each(lambda: foreseen(present, settings.particles)),
            informed=Each(lambda: believed_futures(present, belief)),
        )

    return tell
