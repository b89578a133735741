"""What a mutilated delivery leads to: ingest and silver in this process, after a delivery that was whole."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from pipelines._entry import load_settings
from spanishgas.config import Settings
from spanishgas.engine.store import Manifest, TableStore
from spanishgas.errors import DeliveryError, SpanishGasError
from spanishgas.stages import demo_data, ingest, silver
from spanishgas.stages.runner import run_stage
from tests.deliveries.faults import Fault
from tests.deliveries.tables import LAYOUTS

WORLD = (
    "data.customers=50",
    "data.end=2024-05-31",
    "data.hourly_format=csv",
    "as_of=2024-05-31",
    "engine.threads=1",
)
FIRST, SECOND = "2024-06-05", "2024-06-09"
QUIET = Console(quiet=True)
# Tables that count instead of telling.
COUNTS = ("quality", "quarantine", "delivery_figures")

EQUAL, COUNTED, GATE, ERROR, SILENT, TRACEBACK = "equal", "counted", "gate", "error", "SILENT", "TRACEBACK"
BAD = (SILENT, TRACEBACK)


@dataclass(frozen=True)
class Outcome:
    """How a delivery ended.

    Attributes:
        kind: ``equal``: the tables are those of the whole delivery. ``counted``: they differ, and the quality report or
            the quarantine counts what. ``gate``: refused by a gate. ``error``: refused with a message. ``SILENT``: they
            differ and nothing says so. ``TRACEBACK``: an error that nobody foresaw.
        told: Gates, message, or the tables that differ.
        cpu_seconds: What it cost.
    """

    kind: str
    told: str
    cpu_seconds: float = 0.0


@dataclass
class _Run:
    """A run that is written nowhere."""

    id: str = "drill"
    experiment_id: str = "0"
    models: Any = None
    texts: dict[str, str] = field(default_factory=dict)

    def log_text(self, text: str, file: str) -> None:
        self.texts[file] = text

    def _nothing(self, *_: object, **__: object) -> None:
        """Nobody reads it."""

    log_parameters = log_config = log_metrics = log_models = log_datasets = log_figure = log_file = _nothing
    set_tags = rename = describe = describe_as = _nothing
    is_described = True


class QuietTracker:
    """A tracking store that keeps the last run."""

    @contextlib.contextmanager
    def run(self, name: str, **_: object) -> Iterator[_Run]:
        self.last = _Run(name)
        yield self.last


class Drill:
    """A demo retailer whose first delivery is published, and the second delivery as it should be.

    Args:
        folder: A folder of its own.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self._number = folder, 0
        self.raw = folder / "whole" / "raw" / "current"
        self._run(demo_data.STAGE, self._settings("whole", FIRST))
        parts = sorted((self.raw / "consumption_hourly").glob("*.csv"))
        assert len(parts) == 1, parts
        whole = self._settings("whole", FIRST)
        self._deliver(whole)
        self._copy("whole", "second")
        self.reference = self._deliver(self._settings("second", SECOND))

    def outcome(self, fault: Fault, source: str, *, first: bool = False) -> Outcome:
        """Delivers one mutilated file among whole ones.

        Args:
            fault: What is done to the file.
            source: Whose file it is.
            first: Whether it is the first delivery of all.
        """
        self._number += 1
        name = f"case-{self._number}"
        if first:
            (self.folder / name).mkdir()
        else:
            self._copy("whole", name)
        raw = self.folder / f"{name}-raw"
        shutil.copytree(self.raw, raw, copy_function=os.link)
        file = raw / LAYOUTS[source].file
        changed = fault.mutate(source, file.read_bytes())
        file.unlink()
        if changed is not None:
            file.write_bytes(changed)
        started = os.times()
        kind, told = self._ask(self._settings(name, SECOND, raw))
        ended = os.times()
        shutil.rmtree(self.folder / name)
        shutil.rmtree(raw)
        return Outcome(kind, told, ended.user - started.user + ended.system - started.system)

    def _ask(self, settings: Settings) -> tuple[str, str]:
        before = _silver(settings)
        try:
            manifest = self._deliver(settings)
        except DeliveryError as error:
            found = _silver(settings)
            assert (found and found.content_hash) == (before and before.content_hash), "refused, and yet published"
            return GATE, ", ".join(sorted(_gates(str(error))))
        except SpanishGasError as error:
            return ERROR, str(error)
        except Exception as error:
            return TRACEBACK, f"{type(error).__name__}: {error}"
        return self._compare(manifest)

    def _compare(self, manifest: Manifest) -> tuple[str, str]:
        def digest(of: Manifest, table: str) -> tuple[str, int]:
            return of.tables[table].content_hash, of.tables[table].rows

        tables = [name for name in self.reference.tables if name not in COUNTS]
        differing = [name for name in tables if digest(manifest, name) != digest(self.reference, name)]
        if not differing:
            return EQUAL, ""
        told = ", ".join(
            f"{name} {self.reference.tables[name].rows:,} to {manifest.tables[name].rows:,} rows" for name in differing
        )
        counted = {
            name: value
            for name, value in manifest.metrics.items()
            if name.startswith(("found_", "quarantined")) and value != self.reference.metrics.get(name, 0.0)
        }
        if not counted:
            return SILENT, told
        return COUNTED, f"{told}; " + ", ".join(f"{name} {value:,.0f}" for name, value in sorted(counted.items()))

    def _settings(self, name: str, run_date: str, raw: Path | None = None) -> Settings:
        # Rows without a date of their own are known from the day that their file's contents were first landed: a file
        # with one more space would be known later. Here only what is in the rows counts.
        overrides = [*WORLD, f"run_date={run_date}", f"data.extracted_on={run_date}", f"data_root={self.folder / name}"]
        return load_settings((*overrides, f"data.raw={raw or self.folder / 'whole' / 'raw' / 'current'}"))

    def _deliver(self, settings: Settings) -> Manifest:
        self._run(ingest.STAGE, settings)
        return self._run(silver.STAGE, settings)

    def _run(self, stage: Any, settings: Settings) -> Manifest:
        tracker: Any = QuietTracker()
        return run_stage(stage, settings, tracker, console=QUIET).manifests[0]

    def _copy(self, name: str, other: str) -> None:
        """Another store with the same tables; published files never change, so they are shared."""
        for layer in ("bronze", "silver"):
            shutil.copytree(self.folder / name / layer, self.folder / other / layer, copy_function=os.link)


def _silver(settings: Settings) -> Manifest | None:
    return TableStore(settings.data.root).find(silver.SILVER)


def _gates(message: str) -> set[str]:
    """Names of the gates in a refusal."""
    accepted = message.rpartition("'quality.accept=[")[2].partition("]")[0]
    return set(accepted.split(","))
