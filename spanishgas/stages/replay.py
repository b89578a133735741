"""Stage `replay`: the simulator's replay repeated on many demo worlds, in both kinds of them."""

from collections.abc import Mapping, Sequence

import pandas as pd
from pydantic import BaseModel, ConfigDict

from spanishgas.config import DemoData, ReplaySettings, Settings
from spanishgas.config.places import below, inside
from spanishgas.contracts.decisions import REPLAY_STUDY, REPLAYED_POLICIES
from spanishgas.engine.store import Manifest, Publication, TableStore
from spanishgas.errors import ConfigError, PublishError
from spanishgas.policy.response import ASSUMED, LEARNED
from spanishgas.policy.study import FIGURES, plot_shares, render, summarise, verdict
from spanishgas.registry import ModelRegistry, RunLog
from spanishgas.stages import demo_data, features, ingest, promote, silver, simulate, train, training_set
from spanishgas.stages.base import Build, PlainStage, Product, Report, Request, Target, Workspace
from spanishgas.stages.score import PARTITION

STUDY = Publication(layer="gold", name="replay_study")
FOLDER = "replays"
FROM_RAW = (demo_data.STAGE, ingest.STAGE, silver.STAGE, training_set.STAGE)
FROM_TABLES = (features.STAGE, train.STAGE, promote.STAGE, simulate.STAGE)
WHY_FORCED = "replay study: no world is left out for the quality of its model"


class World(PlainStage):
    """One world of the study, from raw files to its replay.

    Its raw files and bronze tables, gigabytes that come out the same again from the seed, go once the replay stands.
    """

    name = "replay_world"
    module = __name__

    def tags(self, settings: Settings) -> Mapping[str, str]:
        """Which world."""
        return {"world": str(getattr(settings.data, "world", "")), "seed": str(getattr(settings.data, "seed", ""))}

    def requests(self, settings: Settings, store: TableStore) -> Sequence[Request]:
        """What has to be made; raw files only where the tables behind them are not published."""
        has_tables = store.find(silver.SILVER) is not None and store.find(training_set.TRAINING_SET) is not None
        stages = FROM_TABLES if has_tables else (*FROM_RAW, *FROM_TABLES)
        return [Request(stage, settings, if_stale=stage is not promote.STAGE) for stage in stages]

    def plan(self, settings: Settings, store: TableStore, models: ModelRegistry) -> Sequence[Target]:
        """Nothing of its own."""
        return ()

    def build(self, workspace: Workspace, targets: Sequence[Target]) -> Build:
        """Nothing to make: there are no targets.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError

    def finish(self, settings: Settings, store: TableStore, manifests: Sequence[Manifest], run: RunLog) -> str:
        """Removes what takes most space."""
        _remove_raw(settings)
        return settings.data.name


WORLD = World()


class StudySettings(BaseModel):
    """Which worlds are looked at."""

    model_config = ConfigDict(frozen=True)

    replay: ReplaySettings


class Replay(PlainStage):
    """Makes the worlds that have not been replayed yet, each below the data set's own folder, and sums up."""

    name = "replay"
    module = __name__

    def tags(self, settings: Settings) -> Mapping[str, str]:
        """How many worlds."""
        wanted = settings.policy.replay
        return {"worlds": ",".join(wanted.worlds), "seeds": ",".join(map(str, wanted.seeds))}

    def requests(self, settings: Settings, store: TableStore) -> Sequence[Request]:
        """Every world whose replay is not published; with ``force``, every world."""
        return [Request(WORLD, one) for one in _worlds(settings) if settings.force or _replayed(one) is None]

    def plan(self, settings: Settings, store: TableStore, models: ModelRegistry) -> Sequence[Target]:
        """The study of the worlds that have been replayed.

        Raises:
            ConfigError: The data set is not a demo.
            PublishError: Not one world has been replayed.
        """
        found = {one.data.name: _replayed(one) for one in _worlds(settings)}
        manifests: dict[str, Manifest] = {name: manifest for name, manifest in found.items() if manifest is not None}
        if not manifests:
            raise PublishError("no world has been replayed", where=store.where(FOLDER))
        inputs = {
            name: manifest.tables[REPLAYED_POLICIES.name].content_hash for name, manifest in sorted(manifests.items())
        }
        return [Target(STUDY, StudySettings(replay=settings.policy.replay), inputs, manifests)]

    def finish(self, settings: Settings, store: TableStore, manifests: Sequence[Manifest], run: RunLog) -> str:
        """Removes what worlds have left that were killed once their replay stood: they are not made again."""
        for one in _worlds(settings):
            if _replayed(one) is not None:
                _remove_raw(one)
        return ""

    def build(self, workspace: Workspace, targets: Sequence[Target]) -> Build:
        """Sums up."""
        (target,) = targets
        view = target.settings
        assert isinstance(view, StudySettings)
        parts, lacking = [], []
        for world in view.replay.worlds:
            for seed in view.replay.seeds:
                name = _name(workspace.store.place.name, world, seed)
                if name not in target.manifests:
                    lacking.append(f"{world} {seed}")
                    continue
                store = workspace.store.below(FOLDER, f"{world}-{seed}")
                files = store.files(target.manifests[name], REPLAYED_POLICIES.name)
                parts.append(workspace.engine.frame(workspace.engine.scan(files)).assign(world=world, seed=seed))
        replays = pd.concat(parts, ignore_index=True)
        study = summarise(replays, view.replay.chosen_on)
        metrics: dict[str, float] = {"worlds": float(len(parts))}
        for row in study.to_dict("records"):
            told = f"{row['world']}_chosen_on" if row["is_chosen_on"] else row["world"]
            for name in FIGURES:
                if pd.notna(row[name]):
                    metrics[f"{told}_{row['policy']}_{name}"] = float(row[name])
            if row["policy"] == (LEARNED if LEARNED in set(study["policy"]) else ASSUMED):
                metrics[f"{told}_replay_share_of_oracle"] = float(row["share"])
                metrics[f"{told}_replay_share_of_informed"] = float(row["share_of_informed"])
        product = Product(
            tables={REPLAY_STUDY.name: study[list(REPLAY_STUDY.column_names)]},
            contracts={REPLAY_STUDY.name: REPLAY_STUDY},
            metrics=metrics,
        )
        report = Report(
            markdown=render(study, replays, lacking),
            figures={"shares": plot_shares(study)},
            texts={"tables/replays.csv": replays.to_csv(index=False)},
            headline=verdict(study),
        )
        return Build({target.publication: product}, report)


def _remove_raw(settings: Settings) -> None:
    """Removes a world's raw files and bronze tables, which take most space."""
    if not settings.policy.replay.keep_raw:
        store = TableStore.of(settings.data.root, settings.storage)
        for layer in ("raw", "bronze"):
            store.clear(layer)


def _name(data: str, world: str, seed: int) -> str:
    """Name of a world's data set; its model is a model of its own."""
    return f"{data}_{world}_{seed}"


def _worlds(settings: Settings) -> list[Settings]:
    """Settings of every world of the study.

    Raises:
        ConfigError: The data set is not a demo.
    """
    data = settings.data
    if not isinstance(data, DemoData):
        raise ConfigError("has no ground truth to replay against", where=f"data={data.name}", todo="Choose data=demo")
    promotion = settings.promotion.model_copy(update={"mode": "force", "reason": WHY_FORCED})
    found = []
    for world in settings.policy.replay.worlds:
        for seed in settings.policy.replay.seeds:
            root = below(data.root, FOLDER, f"{world}-{seed}")
            way = inside(data.raw, data.root)
            if way is None:
                raise ConfigError("the demo's raw files lie below its data root", where=f"data.raw={data.raw}")
            raw = below(root, *way)
            one = data.model_copy(
                update={
                    "world": world,
                    "seed": seed,
                    "root": root,
                    "raw": raw,
                    "name": _name(data.root.name, world, seed),
                }
            )
            found.append(settings.model_copy(update={"data": one, "force": False, "promotion": promotion}))
    return found


def _replayed(settings: Settings) -> Manifest | None:
    """The published replay of a world."""
    store = TableStore.of(settings.data.root, settings.storage)
    found = store.find(
        Publication(layer="gold", name="simulation", partition=f"{PARTITION}={settings.run_date.isoformat()}")
    )
    if found is None or store.missing_files(found) or REPLAYED_POLICIES.name not in found.tables:
        return None
    return found


STAGE = Replay()
