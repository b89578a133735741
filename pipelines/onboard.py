"""Entry point `onboard`: a configuration for a folder of raw files, tried on a sample of them."""

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow.parquet as pq
from rich.console import Console

from pipelines._arguments import Arguments
from pipelines._entry import CONF, CONFIG_DIRS_VARIABLE, guarded, load_settings
from spanishgas.config import OnboardingSettings, Settings
from spanishgas.config.quality import GATES
from spanishgas.engine.embedded import open_embedded
from spanishgas.engine.store import TableStore
from spanishgas.errors import ConfigError, SourceError, SpanishGasError
from spanishgas.onboarding import Proposal, copy_sample, load_layouts, look, outcome_of, propose, render
from spanishgas.registry import RunLog, Tracker
from spanishgas.stages import ingest, silver
from spanishgas.stages.runner import Outcome, run_stage

NAME = "onboard"


def main(argv: Sequence[str] | None = None) -> int:
    """Proposes a configuration as the command line says; returns the exit code."""
    return guarded(NAME, _onboard, argv)


def _onboard(arguments: Arguments, console: Console) -> int:
    for folder in arguments.config_dirs[:1]:  # the folder that other commands are told is the one to write into
        Path(folder).mkdir(parents=True, exist_ok=True)
        if not any(one.startswith("onboarding.into=") for one in arguments.overrides):
            arguments = replace(arguments, overrides=(*arguments.overrides, f"onboarding.into={folder}"))
    settings = load_settings(arguments.overrides)
    wanted = settings.onboarding
    raw, name, file = _places(wanted)
    with Tracker(settings.tracking).run(NAME, tags={"stage": NAME, "data": name}) as run:
        proposal = _proposal(settings, raw, name, run)
        text = render(proposal, raw)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        run.log_text(text, f"{name}.yaml")
        console.print(f"{file} is written", markup=False)
        blocking = proposal.blocking()
        lines = [f"# {name}", "", "## To be decided before anything can be run", "", *_listed(blocking)]
        if not blocking:
            lines = [
                f"# {name}",
                "",
                "## What became of a sample",
                "",
                *_listed(_try(settings, raw, name, run, console)),
            ]
        lines += ["", "## To be decided", "", *_listed(proposal.open())]
        lines += ["", "## Left alone", "", *_listed([f"{one}: {why}" for one, why in proposal.unread.items()])]
        report = "\n".join(lines) + "\n"
        run.log_text(report, "report.md")
        run.describe(report)
        sys.stdout.write(report)
        if blocking:
            raise ConfigError(
                "columns or files are unsure, so no sample was read",
                where=str(file),
                count=len(blocking),
                examples=blocking,
                todo="Answer the questions that stand in the file above the lines concerned; then run `ingest`",
            )
    console.print(f"python -m pipelines.run_pipeline --config-dir {wanted.into} data={name}", markup=False)
    return 0


def _places(wanted: OnboardingSettings) -> tuple[Path, str, Path]:
    """The raw folder, the name and the file to write.

    Raises:
        ConfigError: One is not told, or the name is taken.
        SourceError: There is no such folder.
    """
    if wanted.raw is None or wanted.name is None:
        raise ConfigError("needs a folder and a name", where=NAME, todo="python -m pipelines.onboard raw=DIR name=NAME")
    if not wanted.raw.is_dir():
        raise SourceError(
            "there is no such folder", where=str(wanted.raw), todo="raw=DIR names the folder of the raw files"
        )
    file = wanted.into / "data" / f"{wanted.name}.yaml"
    if (CONF / "data" / file.name).exists():
        raise ConfigError(
            "is the name of a data set of this project", where=wanted.name, todo="Give yours another name"
        )
    if file.exists() and not wanted.overwrite:
        raise ConfigError(
            "is there already", where=str(file), todo="overwrite=true writes over it, your changes included"
        )
    return wanted.raw.resolve(), wanted.name, file


def _proposal(settings: Settings, raw: Path, name: str, run: RunLog) -> Proposal:
    """Looks at the files and proposes.

    Raises:
        SourceError: Nothing in the folder can be read.
    """
    folders = [folder / "layouts" for folder in (CONF, settings.onboarding.into)]
    with TemporaryDirectory() as scratch, open_embedded(settings.engine, Path(scratch) / "engine") as engine:
        looked = look(engine, raw, Path(scratch))
        if not looked.groups:
            raise SourceError(
                "no file can be read",
                where=str(raw),
                count=len(looked.unread),
                examples=[f"{file}: {why}" for file, why in looked.unread.items()],
            )
        proposal = propose(name, looked, load_layouts(folders), settings.onboarding.run_date)
    run.log_metrics(
        {
            "raw_files": float(sum(len(group.items) for group in looked.groups)),
            "unread_files": float(len(looked.unread)),
            "questions_before": float(len(proposal.blocking())),
            "questions_after": float(len(proposal.open())),
        }
    )
    return proposal


def _try(settings: Settings, raw: Path, name: str, run: RunLog, console: Console) -> list[str]:
    """Runs `ingest` and `silver` on a sample, as the written file says; what became of its rows, in words."""
    folders = [str(settings.onboarding.into), os.environ.get(CONFIG_DIRS_VARIABLE, "")]
    os.environ[CONFIG_DIRS_VARIABLE] = os.pathsep.join(dict.fromkeys(filter(None, folders)))
    with TemporaryDirectory() as folder:
        accepted = ",".join(GATES)
        told = load_settings(
            (f"data={name}", f"data_root={folder}/data", f"quality.accept=[{accepted}]", "quality.reason=sample")
        )
        sample = copy_sample(raw, Path(folder) / "raw", settings.onboarding.sample_mib)
        data = told.data.model_copy(update={"raw": sample.folder})
        told = told.model_copy(update={"data": data, "tracking": settings.tracking, "engine": settings.engine})
        tracker = Tracker(settings.tracking)
        outcomes: list[Outcome] = []
        for stage in (ingest.STAGE, silver.STAGE):
            try:
                outcomes.append(run_stage(stage, told, tracker, parent=run, console=console))
            except SpanishGasError as error:
                return [f"{stage.name} of the sample failed: {error}"]
            console.print(f"{stage.name} of a sample: {outcomes[-1].headline}", markup=False)
        store = TableStore(data.root)
        (manifest,) = outcomes[-1].manifests
        tables = {
            table: pq.read_table(store.files(manifest, table)[0], partitioning=None).to_pandas()
            for table in ("quality", "quarantine")
        }
        lines = outcome_of(tables["quality"], tables["quarantine"])
        failed = [
            one.manifests[0].tags["accepted_gates"] for one in outcomes if "accepted_gates" in one.manifests[0].tags
        ]
    if failed:
        lines.append(f"gates that this sample would not pass: {', '.join(failed)}")
    if sample.cut:
        lines.append(f"of {len(sample.cut)} large files only the first rows: {', '.join(sample.cut[:5])}")
    return lines


def _listed(texts: Sequence[str]) -> list[str]:
    return [f"  {text}" if text.startswith(" ") else f"- {text}" for text in texts] or ["Nothing."]


if __name__ == "__main__":
    raise SystemExit(main())
