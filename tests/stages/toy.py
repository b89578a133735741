"""A stage that doubles a number, to try the runner on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import pandas as pd
from pydantic import BaseModel

from pipelines._entry import load_settings
from spanishgas.config import (
    DataSettings,
    EngineSettings,
    FeatureSettings,
    LabelSettings,
    PipelineSettings,
    Settings,
    TrackingSettings,
)
from spanishgas.contracts import Column, Contract, KnownAt
from spanishgas.engine.store import Publication, TableStore
from spanishgas.registry import ModelRegistry
from spanishgas.stages.base import Build, PlainStage, Product, Report, Request, Target, Workspace

CONTRACT = Contract(
    name="doubles",
    layer="gold",
    version=1,
    grain="number",
    description="Numbers and their doubles.",
    primary_key=("number",),
    event_time=None,
    known_at=KnownAt(column=None),
    columns=(
        Column(name="number", type="int", description="A number.", minimum=0),
        Column(name="double", type="int", description="Twice the number."),
    ),
)


class ToySettings(BaseModel):
    factor: int


@dataclass
class Toy(PlainStage):
    """Publishes one partition per `as_of`; `calls` counts what was really built."""

    factor: int = 2
    first: int = 0
    module: str = "spanishgas.errors"
    name: str = "toy"
    calls: list[list[str]] = field(default_factory=list)
    needs: tuple[Request, ...] = ()

    def tags(self, settings: Settings) -> Mapping[str, str]:
        return {"as_of": ",".join(day.isoformat() for day in settings.as_of)}

    def requests(self, settings: Settings, store: TableStore) -> Sequence[Request]:
        return self.needs

    def plan(self, settings: Settings, store: TableStore, models: ModelRegistry) -> Sequence[Target]:
        return [
            Target(
                Publication(layer="gold", name="toy", partition=f"asof_date={day}"),
                ToySettings(factor=self.factor),
                {"first": str(self.first)},
            )
            for day in settings.as_of
        ]

    def build(self, workspace: Workspace, targets: Sequence[Target]) -> Build:
        self.calls.append([target.publication.value for target in targets])
        numbers = range(self.first, self.first + 3)
        frame = pd.DataFrame({"number": list(numbers), "double": [number * self.factor for number in numbers]})
        product = Product(tables={"doubles": frame}, contracts={"doubles": CONTRACT}, metrics={"largest": 4.0})
        return Build({target.publication: product for target in targets}, Report("# Doubles\n", headline="doubled"))


def settings_for(folder: Path, tracking: TrackingSettings, *as_of: date) -> Settings:
    """Settings of an empty data set under a folder."""
    delivered = load_settings(())
    return Settings(
        run_date=date(2026, 2, 9),
        as_of=as_of or (date(2026, 1, 31),),
        data=DataSettings(
            name="toy",
            root=folder / "data",
            raw=folder / "raw",
            run_date=date(2026, 2, 9),
            as_of=date(2026, 1, 31),
            sources={},
        ),
        engine=EngineSettings(),
        features=FeatureSettings(families=()),
        labels=LabelSettings(kind="snapshot", shares={"train": 1.0}),
        tracking=tracking,
        policy=delivered.policy,
        monitoring=delivered.monitoring,
        quality=delivered.quality,
        pipeline=PipelineSettings(stages=("toy",)),
    )
