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
from spanishgas.errors import ContractError
from spanishgas.policy.economics import Response
from spanishgas.policy.replay import Outlooks, Tell, Truth
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
) -> Tell:
    """Who tells the futures of customers after a date.

    Args:
        engine: Reads the recommendations that took effect in the world.
        store: Published tables.
        truth: The published ground truth.
        as_of: Last day of a month of the world.
        settings: Number of futures and of particles, seed of the filter.

    Raises:
        ContractError: The ground truth does not say which world it is of.
    """
    if WORLD not in truth.tags:
        raise ContractError(
            "the ground truth is of an earlier release and does not say which world it is of",
            where=str(truth.publication),
            todo="Run `demo_data` again with force=true",
        )
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
