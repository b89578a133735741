"""What a stage is: what it publishes, what that depends on, and the function that makes it.

Stages are wiring. They translate between published tables and the rooms' functions, and say what the runner must know
to skip, lock, check, publish and log; the work itself stands in the rooms.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import ibis.expr.types as ir
import pandas as pd
from pydantic import BaseModel

from spanishgas.config import Settings
from spanishgas.contracts import Contract
from spanishgas.engine.session import Engine
from spanishgas.engine.store import DataFile, Manifest, Publication, TableStore
from spanishgas.errors import SpanishGasError
from spanishgas.registry import ModelRegistry, ModelVersion, RunLog

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Target:
    """One publication that a stage is asked for.

    Attributes:
        publication: What is published.
        settings: The settings that its result depends on; the stage sees no others.
        inputs: Digest of every input.
        manifests: The published inputs, by a name of the stage's choice.
        models: The registered models that are read, by a name of the stage's choice.
    """

    publication: Publication
    settings: BaseModel
    inputs: Mapping[str, str]
    manifests: Mapping[str, Manifest] = field(default_factory=dict)
    models: Mapping[str, ModelVersion] = field(default_factory=dict)


@dataclass(frozen=True)
class LandedFile:
    """A file that the stage wrote into its draft, with what is known of it without reading it again.

    Attributes:
        path: Where it is.
        rows: Its rows.
        content_hash: Digest of what it holds.
        origin: Name of the raw file that it was landed from, or its own.
        part: Which part of the source's configuration it belongs to.
        made_from: See ``DataFile``.
        seen: See ``DataFile``.
        earlier: The file as another partition has published it; it is named again.
    """

    path: Path
    rows: int
    content_hash: str
    origin: str
    part: int = 0
    made_from: str | None = None
    seen: str | None = None
    earlier: DataFile | None = None

    def data_file(self, folder: Path) -> DataFile:
        """The file as its manifest will name it, from a draft's folder."""
        found = self.earlier or DataFile(path=self.path.relative_to(folder).as_posix())
        told = {"origin": self.origin, "part": self.part, "made_from": self.made_from, "seen": self.seen}
        kept = self.content_hash if self.made_from is not None else None
        return found.model_copy(update={**told, "content_hash": kept})

    @classmethod
    def of(cls, file: Path, folder: Path, *, rows: int = 0) -> "LandedFile":
        """A file that stands in a draft's folder, known by its place there and its digest."""
        with file.open("rb") as handle:
            digest = hashlib.file_digest(handle, "sha256").hexdigest()
        return cls(path=file, rows=rows, content_hash=digest, origin=file.relative_to(folder).as_posix())


@dataclass(frozen=True)
class TablePart:
    """Some rows of a table that is published in several files.

    Attributes:
        path: Where they are: in the draft, or as they are published already.
        made_from: Digest of all that they are made from; None where they are not to be named again.
        earlier: The file as the publication before has it; it is named again.
    """

    path: Path
    made_from: str | None
    earlier: DataFile | None = None


@dataclass(frozen=True)
class Product:
    """What a stage made for one target.

    Attributes:
        tables: Table name -> expression or frame; the runner checks, writes and publishes them.
        parts: Table name -> its rows in several files, written into the draft or published already; the runner checks
            the new ones. No row of the contract's key is in two of them.
        contracts: Contract of each of these tables; every table has one.
        landed: Table name -> files already written into the draft, with the columns they have.
        landed_columns: Column name -> type of landed tables.
        named: Landed files keep their names, see ``Draft.commit``.
        order_by: Table name -> sort order of its rows on disk.
        metrics: Figures of this target for the run.
        tags: Facts in words for the run.
    """

    tables: Mapping[str, ir.Table | pd.DataFrame] = field(default_factory=dict)
    parts: Mapping[str, Sequence[TablePart]] = field(default_factory=dict)
    contracts: Mapping[str, Contract] = field(default_factory=dict)
    landed: Mapping[str, Sequence[LandedFile]] = field(default_factory=dict)
    landed_columns: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    named: bool = False
    order_by: Mapping[str, Sequence[str]] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """What a run tells its reader.

    Attributes:
        markdown: The report.
        figures: File name without ending -> figure.
        texts: Further artifacts, file name -> content.
        headline: One or two lines for the terminal.
    """

    markdown: str
    figures: Mapping[str, "Figure"] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    headline: str = ""


@dataclass(frozen=True)
class Workspace:
    """What a stage's build function is given.

    Attributes:
        engine: An open engine session.
        store: The data set's published tables.
        models: Registered models.
        drafts: Staging folder of each publication, for files that the stage writes itself.
        progress: Tells the user what long work is doing.
        child: Opens a run below the stage's own, given a name and tags.
    """

    engine: Engine
    store: TableStore
    models: ModelRegistry
    drafts: Mapping[Publication, Path]
    progress: Progress
    child: Callable[[str, Mapping[str, str]], AbstractContextManager[RunLog]]


@dataclass(frozen=True)
class Build:
    """Everything one call of a stage made.

    Attributes:
        products: What it made for each target.
        report: What its run tells.
        refused: Why nothing of it may be published: the run shows its figures and report, and fails.
    """

    products: Mapping[Publication, Product]
    report: Report
    refused: SpanishGasError | None = None


@dataclass(frozen=True)
class Request:
    """A stage that must have run before, with the settings to run it with.

    Attributes:
        stage: The stage.
        settings: Its settings.
        if_stale: Only where what it publishes is not there or not up to date; else it runs always, if only to find
            that it is cached.
    """

    stage: "Stage"
    settings: Settings
    if_stale: bool = False


class Stage(Protocol):
    """A stage of the platform; the runner does everything that all stages share."""

    @property
    def name(self) -> str:
        """Name of the stage, its entry point and its runs."""

    @property
    def charted(self) -> tuple[str, ...]:
        """Figures that its runs chart over run dates, beside their own."""

    @property
    def spreads(self) -> bool:
        """Whether its work may be spread over a cluster; the others work on the embedded engine, whatever is set."""

    @property
    def module(self) -> str:
        """The module whose import closure is the stage's code."""

    def tags(self, settings: Settings) -> Mapping[str, str]:
        """Tags that tell this run from others of the stage: ``run_date`` or ``as_of``."""

    def requests(self, settings: Settings, store: TableStore) -> Sequence[Request]:
        """Stages to run first, as children of this run."""

    def plan(self, settings: Settings, store: TableStore, models: ModelRegistry) -> Sequence[Target]:
        """What to publish, with the digests of the inputs.

        Args:
            settings: Resolved settings.
            store: The data set's published tables.
            models: Registered models.

        Raises:
            SpanishGasError: An input is missing.
        """

    def build(self, workspace: Workspace, targets: Sequence[Target]) -> Build:
        """Makes the targets that are not published yet."""

    def finish(self, settings: Settings, store: TableStore, manifests: Sequence[Manifest], run: RunLog) -> str:
        """Brings up to date what is derived from what is published, after every run, cached ones included.

        Args:
            settings: Resolved settings.
            store: The data set's published tables.
            manifests: What this run has published, or found published.
            run: The run.

        Returns:
            What the terminal is told of it; empty where there is nothing to tell.
        """


class PlainStage:
    """What most stages need of the rest of the protocol: nothing before or after them, no charts, one machine."""

    charted: tuple[str, ...] = ()
    spreads: bool = False

    def requests(self, settings: Settings, store: TableStore) -> Sequence[Request]:
        """Nothing: what is published is used as it is."""
        return ()

    def finish(self, settings: Settings, store: TableStore, manifests: Sequence[Manifest], run: RunLog) -> str:
        """Nothing is derived."""
        return ""
