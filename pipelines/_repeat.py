"""The same run again: `--from-run <run id>` takes the settings of an earlier run and says what is different today."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from hydra.core.config_store import ConfigStore
from pydantic import ValidationError
from rich.console import Console

from spanishgas.config import Settings
from spanishgas.config.flat import flat, spelled
from spanishgas.errors import ConfigError, TrackingError
from spanishgas.registry import Reader, RunLog, RunRecord
from spanishgas.stages.runner import PROVENANCE, Begun

CONFIG = "config.yaml"
TABLE = "tables/differences.csv"
OPTION = "as_before"
# Where runs are recorded is no part of what they do.
TODAYS = "tracking"
# They choose options of other groups too, or only feed other settings: of a run that has all its settings they would
# change half.
UNFIT = {
    "data": "data.name, data.root, data.raw and others",
    "experiment": "its settings one by one",
    "data_root": "data.root and data.raw",
    "action": "promotion.action",
}
TAG = "from_run"
SHOWN = 60
MOST_TOLD = 20
NOT_ON_RECORD = "not on record"


@dataclass(frozen=True)
class Difference:
    """One thing that is not as it was.

    Attributes:
        kind: ``setting``, ``code``, ``git``, ``lock file`` or ``input``, and what became of it.
        name: Which.
        then: How it was.
        now: How it is.
    """

    kind: str
    name: str
    then: str
    now: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}: {self.now[:SHOWN] or 'none'}, was {self.then[:SHOWN] or 'none'}"


@dataclass(frozen=True)
class Repeat:
    """An earlier run whose settings are taken.

    Attributes:
        run: The run.
        before: Its settings, as today's code knows them.
        moved: Settings that today's code no longer knows, or knows in addition.
        reader: The tracking store.
    """

    run: RunRecord
    before: Settings
    moved: tuple[Difference, ...]
    reader: Reader

    @classmethod
    def of(cls, run_id: str, name: str, today: Settings) -> "Repeat":
        """Reads an earlier run.

        Args:
            run_id: The run.
            name: Name of the entry point.
            today: Settings as they are when nothing is said, for what the run lacks.

        Raises:
            ConfigError: There is no such run, it is of another entry point, or its settings are not allowed any more.
            TrackingError: The tracking store does not answer.
        """
        reader = Reader(today.tracking)
        run = reader.run(run_id)
        stage = run.tags.get("stage", "")
        if stage != name:
            raise ConfigError(
                f"is a run of {stage!r}" if stage else "is no run of a stage",
                where=f"--from-run {run_id}",
                todo=f"Call python -m pipelines.{stage or '<stage>'} --from-run {run_id}, or name a run of {name}",
            )
        try:
            values = yaml.safe_load(reader.text(run_id, CONFIG))
        except TrackingError as error:
            raise ConfigError(
                f"has no {CONFIG}, so its settings are not known",
                where=f"--from-run {run_id}",
                todo="Of a sweep or a search name the run below or above that did the work; releases before this one "
                "kept no such file",
            ) from error
        except yaml.YAMLError as error:
            raise _damaged(run_id) from error
        if not isinstance(values, Mapping) or "data" not in values:
            raise _damaged(run_id)
        before, moved = bring_up_to_date(values, today, f"--from-run {run_id}")
        return cls(run, before, tuple(moved), reader)

    def choices(self, named: Sequence[str]) -> tuple[str, ...]:
        """Overrides that choose the run's settings; those of the command line come after them.

        Args:
            named: Groups and keys that the command line names: their options are not chosen twice.

        Raises:
            ConfigError: One of them would change only half of what it stands for.
        """
        for name in set(named) & set(UNFIT):
            raise ConfigError(
                "cannot be given with --from-run, which has every setting already",
                where=name,
                todo=f"Give {UNFIT[name]} instead",
            )
        store, chosen = ConfigStore.instance(), []
        for key, value in self.before.model_dump(mode="json", exclude={TODAYS}).items():
            if not isinstance(value, Mapping):
                chosen.append(f"{key}={spelled(value)}")
                continue
            group, option = ("model", f"{OPTION}_baseline") if key == "baseline" else (key, OPTION)
            store.store(name=option, group=group, node=_literal(value))
            choice = key if group == key else f"{group}@{key}"
            if choice not in named:
                chosen.append(f"{choice}={option}")
        return tuple(chosen)

    def settings_told(self, settings: Settings) -> list[Difference]:
        """Settings that are not the run's."""
        then, now = (dict(flat(one.model_dump(mode="json", exclude={TODAYS}))) for one in (self.before, settings))
        changed = [
            Difference("setting", name, _spelled(then, name), _spelled(now, name))
            for name in dict.fromkeys([*then, *now])
            if then.get(name) != now.get(name) or (name in then) != (name in now)
        ]
        return [*self.moved, *changed]

    def compare(self, stage: str, run: RunLog, provenance: Mapping[str, Any]) -> list[Difference]:
        """Code, libraries and inputs of a stage's new run that are not those of the earlier one."""
        earlier = self._earlier(stage)
        kept = self._provenance(earlier)
        found = _git(earlier.tags if earlier else {}, self.reader.run(run.id).tags)
        if kept is None:
            return [
                *found,
                Difference("record", "of code, lock file and inputs", NOT_ON_RECORD, f"{PROVENANCE} of this run"),
            ]
        for kind, key in (("code", "code"), ("lock file", "lock")):
            if kept[key] != provenance[key]:
                found.append(Difference(kind, stage, kept[key], provenance[key]))
        then, now = _inputs(kept), _inputs(provenance)
        found += [
            Difference("input", name, then.get(name, ""), now.get(name, ""))
            for name in dict.fromkeys([*then, *now])
            if then.get(name) != now.get(name)
        ]
        return found

    def begin(self, settings: Settings, console: Console) -> Begun:
        """What to do when a stage of this configuration begins: tell and write down what is different."""
        settings_told = self.settings_told(settings)
        say(console, f"settings of run {self.run.run_id}", settings_told)

        def begun(stage: str, run: RunLog, provenance: Mapping[str, Any]) -> None:
            told = self.compare(stage, run, provenance)
            say(console, f"{stage}: code, lock file and inputs", told)
            self._mark(run, [*settings_told, *told])

        return begun

    def begin_pipeline(self, run: RunLog) -> None:
        """Writes on a pipeline's run which run it repeats; what is different stands on the runs below it."""
        run.set_tags({TAG: self.run.run_id})

    def _mark(self, run: RunLog, differences: Sequence[Difference]) -> None:
        kinds: dict[str, list[str]] = {}
        for one in differences:
            kinds.setdefault(one.kind, []).append(one.name)
        words = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in kinds.items())
        run.set_tags({TAG: self.run.run_id, f"{TAG}_differences": words or "none"})
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["kind", "name", "then", "now"])
        writer.writerows((one.kind, one.name, one.then, one.now) for one in differences)
        run.log_text(text.getvalue(), TABLE)

    def _earlier(self, stage: str) -> RunRecord | None:
        """The earlier run of a stage: the run itself, or of a pipeline its last child of that stage."""
        if self.run.tags.get("stage") == stage:
            return self.run
        return next(
            (one for one in reversed(self.reader.children(self.run.run_id)) if one.tags.get("stage") == stage), None
        )

    def _provenance(self, run: RunRecord | None) -> dict[str, Any] | None:
        if run is None:
            return None
        try:
            found = json.loads(self.reader.text(run.run_id, PROVENANCE))
        except (TrackingError, ValueError):  # it ended before it had any, or somebody changed it
            return None
        return found if isinstance(found, dict) and {"code", "lock", "publications"} <= found.keys() else None


def _damaged(run_id: str) -> ConfigError:
    return ConfigError(
        f"its {CONFIG} is damaged, so its settings are not known",
        where=f"--from-run {run_id}",
        todo="Restore the run's artifacts from a backup, or give the settings themselves",
    )


def say(console: Console, what: str, differences: Sequence[Difference]) -> None:
    """Tells the terminal what is different."""
    console.print(f"{what}: {'as they were' if not differences else 'as they were, but for'}", markup=False)
    for one in differences[:MOST_TOLD]:
        console.print(f"  {one}", markup=False)
    if len(differences) > MOST_TOLD:
        console.print(f"  and {len(differences) - MOST_TOLD} more, see {TABLE} of the run", markup=False)


def bring_up_to_date(values: Mapping[str, Any], today: Settings, where: str) -> tuple[Settings, list[Difference]]:
    """Settings of an earlier run as today's code knows them.

    Args:
        values: The settings as they were kept.
        today: Settings as they are when nothing is said; they fill in what was not known then.
        where: Named in errors.

    Returns:
        The settings, and which of them are no longer known or new.

    Raises:
        ConfigError: A value is not allowed any more.
    """
    present = today.model_dump(mode="json")
    told = {**json.loads(json.dumps(values, default=str)), TODAYS: present[TODAYS]}
    found: list[Difference] = []
    while True:
        try:
            settings = Settings.model_validate(told)
            break
        except ValidationError as error:
            found += _mended(told, present, error, where)
    old, known = dict(flat(told)), dict(flat(present))
    for name, default in flat(settings):
        if name not in old and not _is_inside(name, old):
            value = known.get(name, default)
            _put(told, name, value)
            found.append(Difference("new setting", name, "", spelled(value)))
    return Settings.model_validate(told), found


def _mended(told: dict[str, Any], present: Mapping[str, Any], error: ValidationError, where: str) -> list[Difference]:
    """Takes out what is not known any more, puts in what must be there; tells both.

    Raises:
        ConfigError: Something else is wrong.
    """
    found, wrong = [], []
    for fault in error.errors():
        path = _path(told, fault["loc"])
        name = ".".join(map(str, path))
        if fault["type"] == "extra_forbidden":
            value = _at(told, path[:-1]).pop(path[-1])
            found.append(Difference("setting no longer known", name, spelled(value), ""))
            continue
        try:
            value = _at(present, path)
        except (KeyError, TypeError):
            value = None
        if fault["type"] != "missing" or value is None:
            wrong.append(f"{name}: {fault['msg']}")
            continue
        _at(told, path[:-1])[path[-1]] = value
        found.append(Difference("new setting", name, "", spelled(value)))
    if wrong:
        raise ConfigError(
            "settings of that run are not allowed any more",
            where=where,
            count=len(wrong),
            examples=wrong,
            todo="Start from today's settings, and give those of the run that still hold as key=value",
        )
    return found


def _path(values: Any, place: Sequence[int | str]) -> list[Any]:
    """The keys of a place in a validation error, without the names of alternatives that stand among them."""
    path: list[Any] = []
    for one in place[:-1]:
        if one in values if isinstance(values, Mapping) else isinstance(one, int):
            values = values[one]
            path.append(one)
    return [*path, place[-1]]


def _at(values: Any, path: Sequence[Any]) -> Any:
    for one in path:
        values = values[one]
    return values


def _put(values: dict[str, Any], name: str, value: Any) -> None:
    """Sets a setting, with the groups above it."""
    *above, last = name.split(".")
    for one in above:
        values = values.setdefault(one, {})
    values[last] = value


def _is_inside(name: str, names: Mapping[str, Any]) -> bool:
    """Whether a setting stands below one that had no settings below it, such as an empty mapping."""
    parts = name.split(".")
    return any(".".join(parts[:count]) in names for count in range(1, len(parts)))


def _literal(value: Any) -> Any:
    """A value that is to be taken as it is, whatever it looks like to OmegaConf."""
    if isinstance(value, Mapping):
        return {key: _literal(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_literal(one) for one in value]
    return value.replace("${", "\\${") if isinstance(value, str) else value


def _spelled(values: Mapping[str, Any], name: str) -> str:
    return spelled(values[name]) if name in values else ""


def _git(then: Mapping[str, str], now: Mapping[str, str]) -> list[Difference]:
    """Commits; a tree with changes is never known to be the same."""

    def told(tags: Mapping[str, str]) -> str:
        commit = tags.get("mlflow.source.git.commit", NOT_ON_RECORD)
        return f"{commit[:12]} with changes" if tags.get("git_changed") == "true" else commit[:12]

    return [Difference("git", "commit", told(then), told(now))] if told(then) != told(now) else []


def _inputs(provenance: Mapping[str, Any]) -> dict[str, str]:
    return {
        f"{publication} {name}": digest
        for publication, told in provenance["publications"].items()
        for name, digest in told["inputs"].items()
    }
