"""One tracked run: what is written to it, under names that are the same for every stage and model."""

import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

from spanishgas.domain.spreadsheets import harmless_csv
from spanishgas.redaction import redacted
from spanishgas.registry.champions import Champions
from spanishgas.registry.limits import MAX_TAG, shorten
from spanishgas.registry.models import ModelRegistry, ModelVersion
from spanishgas.registry.records import Records

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from mlflow import MlflowClient

CONFIG = "config.yaml"
NOTE = "mlflow.note.content"
OVERRULED = "settings_overruled"
BATCH = 100
MAX_PARAM = 6000
MAX_DIGEST = 36
# Runs that may bring the same data set at the same moment, and what stores call it.
ATTEMPTS = 5
KNOWN_ALREADY = ("UNIQUE constraint failed", "duplicate key value")


@dataclass(frozen=True)
class DatasetFacts:
    """What is told of one table that a run reads or writes.

    Attributes:
        name: Table, with its partition.
        digest: Content digest; the tracking store keeps its first 36 characters.
        path: Folder of its files.
        columns: Column name -> type.
        rows: Row count.
    """

    name: str
    digest: str
    path: str
    columns: Mapping[str, str] = field(default_factory=dict)
    rows: int = 0

    @property
    def identity(self) -> tuple[str, str]:
        """Name and digest under which the tracking store knows the table."""
        return self.name, self.digest[:MAX_DIGEST]


class RunLog:
    """A run that is open for writing.

    Args:
        client: Client of the tracking store.
        run_id: Identity of the run.
        experiment_id: Experiment that it stands in.
        lock: Holds a named lock that all who share the store share.
        given: Parameters that the run has already: those that it was launched with.

    Attributes:
        is_described: Whether it has a description.
    """

    def __init__(
        self,
        client: "MlflowClient",
        run_id: str,
        experiment_id: str,
        lock: Callable[[str], AbstractContextManager[None]],
        given: Mapping[str, str] | None = None,
    ) -> None:
        self.id = run_id
        self.experiment_id = experiment_id
        self._client = client
        self._lock = lock
        self._given = dict(given or {})
        self.is_described = False

    @property
    def models(self) -> ModelRegistry:
        """The registry that the run's models go to."""
        return ModelRegistry(self._client)

    @property
    def champions(self) -> Champions:
        """Who decides, and how that came about."""
        return Champions(self._client, self._lock)

    @property
    def records(self) -> Records:
        """Everything that the tracking store keeps."""
        return Records(self._client)

    def log_parameters(self, parameters: Mapping[str, str]) -> None:
        """Logs settings under their own names.

        A launched run has those that it was given already, as they were typed, and no parameter ever changes: they
        stay as they are. Where another value was used in the end, the tag ``settings_overruled`` says so.
        """
        from mlflow.entities import Param

        named = {_name(name): redacted(value)[:MAX_PARAM] for name, value in parameters.items()}
        params = [Param(name, value) for name, value in named.items() if name not in self._given]
        for start in range(0, len(params), BATCH):
            self._client.log_batch(self.id, params=params[start : start + BATCH])
        other = [
            f"{name}={named[name]}"
            for name, given in self._given.items()
            if name in named and not _means(given, named[name])
        ]
        if other:
            self.set_tags({OVERRULED: ", ".join(other)})

    def log_config(self, settings: Mapping[str, Any]) -> None:
        """Stores the whole resolved configuration, to be read back, as the artifact ``config.yaml``."""
        import yaml

        fast = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # ten times as fast, where PyYAML came with it
        text = yaml.dump(dict(settings), Dumper=fast, sort_keys=False, allow_unicode=True, width=120)
        self.log_text(text, CONFIG)

    def log_metrics(self, metrics: Mapping[str, float], *, step: int = 0, day: date | None = None) -> None:
        """Logs figures; names that the store does not accept are made acceptable.

        Args:
            metrics: Name -> value.
            step: Place on a chart's axis of steps.
            day: Place on its axis of time; None for now.
        """
        import time

        from mlflow.entities import Metric

        now = int(
            (time.time() if day is None else datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000
        )
        entries = [Metric(_name(name), float(value), now, step) for name, value in metrics.items()]
        for start in range(0, len(entries), BATCH):
            self._client.log_batch(self.id, metrics=entries[start : start + BATCH])

    def log_models(self, versions: Iterable[ModelVersion]) -> None:
        """Records registered models that the run reads, so that their pages and the run's link to each other."""
        from mlflow.entities import LoggedModelInput

        used = [LoggedModelInput(model_id) for model_id in dict.fromkeys(one.model_id for one in versions) if model_id]
        if used:
            self._client.log_inputs(self.id, models=used)

    def set_tags(self, tags: Mapping[str, str]) -> None:
        """Sets tags."""
        from mlflow.entities import RunTag

        entries = [RunTag(name, shorten(redacted(value), MAX_TAG)) for name, value in tags.items()]
        if entries:
            self._client.log_batch(self.id, tags=entries)

    def rename(self, name: str) -> None:
        """Gives the run another name."""
        self._client.update_run(self.id, name=name)

    def describe(self, text: str) -> None:
        """Sets the description that the run's page shows, in Markdown."""
        self.set_tags({NOTE: text})
        self.is_described = True

    def describe_as(self, run_id: str, sentence: str) -> None:
        """Repeats the description of another run, above a sentence that names it as ``{run}``.

        Args:
            run_id: The other run; where it is gone, or has no description, the sentence stands alone.
            sentence: The sentence.
        """
        from mlflow.exceptions import MlflowException

        text = ""
        with suppress(MlflowException):  # it was deleted
            text = self._client.get_run(run_id).data.tags.get(NOTE, "")
        self.describe(f"{text}\n\n*{sentence.format(run=run_id)}*".strip())

    def log_text(self, text: str, file: str) -> None:
        """Stores a text as an artifact, without secrets; a table without what a spreadsheet would calculate."""
        told = redacted(text)
        self._client.log_text(self.id, harmless_csv(told) if file.endswith(".csv") else told, file)

    def log_file(self, file: Path, folder: str, name: str) -> None:
        """Stores a file as an artifact under another name."""
        with TemporaryDirectory() as local:
            copy = Path(local) / name
            shutil.copyfile(file, copy)
            self._client.log_artifact(self.id, str(copy), folder)

    def log_figure(self, figure: "Figure", file: str) -> None:
        """Stores a figure as an artifact and frees its memory."""
        from spanishgas.evaluation.drawing import write_figure

        with TemporaryDirectory() as folder:
            local = Path(folder) / Path(file).name
            write_figure(figure, local)
            parent = str(Path(file).parent)
            self._client.log_artifact(self.id, str(local), None if parent == "." else parent)
        figure.clear()

    def log_datasets(self, tables: Iterable[DatasetFacts], context: Literal["input", "output", "evaluation"]) -> None:
        """Records the tables that the run reads, writes or is judged on, with their digests."""
        from mlflow.entities import Dataset, DatasetInput, InputTag
        from mlflow.exceptions import MlflowException

        inputs = [
            DatasetInput(
                Dataset(
                    name=table.name,
                    digest=table.digest[:MAX_DIGEST],
                    source_type="local",
                    source=json.dumps({"uri": table.path}),
                    schema=_schema(table.columns),
                    profile=json.dumps({"num_rows": table.rows}),
                ),
                [InputTag("mlflow.data.context", context)],
            )
            for table in tables
        ]
        if not inputs:
            return
        for left in reversed(range(ATTEMPTS)):
            try:
                self._client.log_inputs(self.id, inputs)
                return
            except MlflowException as error:
                # The store looks whether a data set is known and then adds it: of two runs that bring the same one at
                # the same moment the slower is refused, and finds it known when it asks again.
                if not left or not any(word in str(error) for word in KNOWN_ALREADY):
                    raise


def _schema(columns: Mapping[str, str]) -> str:
    fields = [{"type": type_, "name": name, "required": False} for name, type_ in columns.items()]
    return json.dumps({"mlflow_colspec": fields})


def _means(one: str, other: str) -> bool:
    """Whether two texts are the same value: `4` and `4.0`, `True` and `true`, a date and a list of that date."""
    import yaml

    def read(text: str) -> Any:
        try:
            value = yaml.safe_load(text)
            if isinstance(value, str) and value != text:  # MLflow keeps a launch parameter as its shell quotes it
                value = yaml.safe_load(value)
        except yaml.YAMLError:
            return text
        return value[0] if isinstance(value, list) and len(value) == 1 else value

    found, wanted = read(one), read(other)
    return bool(found == wanted) or str(found) == str(wanted)


def _name(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "_-./ " else "_" for letter in name)[:250]
