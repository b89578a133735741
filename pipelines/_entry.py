"""The door to Hydra: from a command line to validated settings, and a stage that runs with them."""

import difflib
import itertools
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import ValidationError
from rich.console import Console

from pipelines._arguments import Arguments, read_arguments
from pipelines._repeat import Repeat
from pipelines._stopping import obey_sigterm
from pipelines._summary import closing, summarise
from spanishgas.config import DemoData, Settings
from spanishgas.config.places import Place, inside, place_of
from spanishgas.errors import ConfigError, SpanishGasError, TrackingError
from spanishgas.failures import explain, keep_in_a_file, traceback_of
from spanishgas.registry import RunLog, Tracker
from spanishgas.stages.base import Stage
from spanishgas.stages.display import Steps
from spanishgas.stages.parameters import parameters_of, recorded
from spanishgas.stages.retrain_signal import SIGNAL, says_yes
from spanishgas.stages.runner import Outcome, run_stage

CONF = Path(__file__).resolve().parents[1] / "conf"
# Folders of options beside ours, for this process and those that it starts.
CONFIG_DIRS_VARIABLE = "SPANISHGAS_CONFIG_DIR"
# Keys of the composed configuration that only serve interpolation.
INTERNAL = ("data_root", "experiment", "action")
# Folders beside the groups that hold no settings.
NO_GROUPS = ("layouts",)
DEMO_DATA = "demo_data"
# Shows the traceback of an error that nobody foresaw on the terminal too, as --traceback does.
SHOW_TRACEBACK = "SPANISHGAS_TRACEBACK"


def run(name: str, stages: Sequence[Stage], argv: Sequence[str] | None = None) -> int:
    """Runs stages as the command line says and returns the exit code.

    Args:
        name: Name of the entry point; with several stages, also of the run that they are children of.
        stages: One stage, or the stages that a pipeline may choose from.
        argv: Arguments; None takes the process's.
    """
    return guarded(name, lambda arguments, console: _run(name, stages, arguments, console), argv)


def guarded(name: str, work: Callable[[Arguments, Console], int], argv: Sequence[str] | None = None) -> int:
    """Reads the command line, does some work, and makes exit codes and messages of what goes wrong.

    Args:
        name: Name of the entry point.
        work: Does what the arguments ask for and returns the exit code.
        argv: Arguments; None takes the process's.
    """
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    obey_sigterm()
    shown = os.environ.get(SHOW_TRACEBACK, "0") not in ("", "0")
    try:
        arguments = read_arguments(list(sys.argv[1:] if argv is None else argv), name)
        if arguments.config_dirs:
            folders = [*arguments.config_dirs, os.environ.get(CONFIG_DIRS_VARIABLE, "")]
            os.environ[CONFIG_DIRS_VARIABLE] = os.pathsep.join(filter(None, folders))
        shown = shown or arguments.traceback
        if arguments.help:
            print(describe(name))
            return 0
        if arguments.show:
            chosen = _choices(_repeated(name, arguments), arguments)
            print(OmegaConf.to_yaml(_compose((*chosen, *arguments.overrides)), resolve=True), end="")
            return 0
        return work(arguments, console)
    except SpanishGasError as error:
        console.print(f"[bold red]{name} failed[/]", end=" ")
        console.print(str(error), markup=False)
        return error.exit_code
    except KeyboardInterrupt:
        console.print(f"[bold red]{name} stopped[/]; what is published stays, the same command goes on from there")
        return 130
    except BrokenPipeError:  # whoever read our output has heard enough
        raise
    except Exception as error:
        keep_in_a_file(error)
        if shown:
            console.print(traceback_of(error), markup=False)
        told = explain(error)
        console.print(f"[bold red]{name} failed[/]", end=" ")
        console.print(str(told), markup=False)
        return told.exit_code


def _run(name: str, stages: Sequence[Stage], arguments: Arguments, console: Console) -> int:
    combinations = expand_sweep(arguments.overrides) if arguments.multirun else [arguments.overrides]
    try:
        repeat = _repeated(name, arguments)
        chosen = _choices(repeat, arguments)
        jobs = [(overrides, load_settings((*chosen, *overrides))) for overrides in combinations]
    except ConfigError as error:
        _leave_failed_run(name, error)
        raise
    tracker = Tracker(jobs[0][1].tracking)
    if not arguments.multirun:
        return _run_job(name, stages, jobs[0][1], tracker, None, console, repeat)
    tags = {"stage": name, "sweep": " ".join(arguments.overrides), "data": jobs[0][1].data.name}
    with tracker.run(f"{name} sweep", tags=tags) as parent:
        parent.log_metrics({"children": float(len(jobs))})
        for overrides, settings in jobs:
            console.print(f"{name} {' '.join(overrides)}", markup=False)
            _run_job(name, stages, settings, tracker, parent, console, repeat)
    return 0


def _repeated(name: str, arguments: Arguments) -> Repeat | None:
    """The run whose settings are taken, if one was named."""
    if arguments.from_run is None:
        return None
    places = [override for override in arguments.overrides if override.startswith("tracking")]
    return Repeat.of(arguments.from_run, name, load_settings(places))


def _choices(repeat: Repeat | None, arguments: Arguments) -> tuple[str, ...]:
    """Overrides that choose the settings of the run that is repeated."""
    named = [override.get_key_element().lstrip("+~") for override in _parse(arguments.overrides)]
    return () if repeat is None else repeat.choices(named)


def _run_job(
    name: str,
    stages: Sequence[Stage],
    settings: Settings,
    tracker: Tracker,
    parent: RunLog | None,
    console: Console,
    repeat: Repeat | None,
) -> int:
    """Runs one stage, or a pipeline of them; returns the exit code of a run that went well."""
    begun = None if repeat is None else repeat.begin(settings, console)
    if len(stages) == 1:
        outcome = run_stage(stages[0], settings, tracker, parent=parent, console=console, begun=begun)
        if name == "promote" and settings.promotion.action == "history":  # an answer, for `> file`; not news on a run
            print(outcome.headline)
        else:
            _tell(outcome, console)
        if name == SIGNAL and says_yes(outcome.manifests[0]):
            return settings.monitoring.signal.exit_code
        return 0
    wanted = _steps(name, stages, settings)
    steps = Steps(console, len(wanted))
    outcomes: list[Outcome] = []
    with tracker.run(name, tags={"stage": name, "data": settings.data.name}, parent=parent) as run:
        if repeat is not None:
            repeat.begin_pipeline(run)
        run.log_parameters(parameters_of(name, settings))
        run.log_config(recorded(settings))
        for stage in wanted:
            with steps.step(stage.name):
                try:
                    outcomes.append(run_stage(stage, settings, tracker, parent=run, console=steps, begun=begun))
                except Exception:
                    console.print(
                        f"{steps.label} {stage.name} failed; the {len(outcomes)} steps before it stay published, the "
                        "same command goes on from there",
                        markup=False,
                    )
                    raise
            _tell(outcomes[-1], console, steps.label)
            if _ends_here(stage, outcomes[-1], settings):
                left = ", ".join(one.name for one in wanted[len(outcomes) :])
                run.set_tags({"ended_by": stage.name})
                console.print(
                    f"{steps.label} {stage.name} says no, so these steps are not run: {left}. "
                    "monitoring.signal.obey=false runs them all the same",
                    markup=False,
                )
                break
        run.log_metrics({f"seconds.{outcome.stage}": outcome.seconds for outcome in outcomes})
        run.log_metrics({"cached_stages": float(sum(outcome.cached for outcome in outcomes))})
        report = summarise(outcomes, settings)
        run.log_text(report, "report.md")
        run.describe(report)
    console.print(closing(outcomes, settings, tracker.folder_of), markup=False)
    return 0


def _ends_here(stage: Stage, outcome: Outcome, settings: Settings) -> bool:
    """Whether a pipeline ends with a step, because the step is asked and says no."""
    asked = stage.name == settings.pipeline.only_if and settings.monitoring.signal.obey
    return asked and not says_yes(outcome.manifests[0])


def _steps(name: str, stages: Sequence[Stage], settings: Settings) -> list[Stage]:
    """The stages that a pipeline is to run.

    Raises:
        ConfigError: There is no such stage, or none is left.
    """
    known = {stage.name: stage for stage in stages}
    named = (*settings.pipeline.stages, *settings.pipeline.skip)
    unknown = [one for one in named if one not in known]
    if settings.pipeline.only_if not in (None, SIGNAL):
        unknown.append(f"{settings.pipeline.only_if} (pipeline.only_if asks {SIGNAL} or nobody)")
    wanted = [one for one in settings.pipeline.stages if one not in settings.pipeline.skip]
    if not isinstance(settings.data, DemoData):  # other data sets bring their files
        wanted = [one for one in wanted if one != DEMO_DATA]
    if unknown or not wanted:
        error = ConfigError(
            "no such stage" if unknown else "no stage is left to run",
            where="pipeline.stages, pipeline.skip",
            examples=unknown,
            todo=f"Known stages: {', '.join(known)}",
        )
        _leave_failed_run(name, error)
        raise error
    return [known[one] for one in wanted]


def _tell(outcome: Outcome, console: Console, label: str = "") -> None:
    state = "cached" if outcome.cached else "done"
    console.print(label, end=" " if label else "", markup=False)
    console.print(f"[bold]{outcome.stage}[/] {state} in {outcome.seconds:.1f} s", end="  ")
    console.print(outcome.headline, markup=False)


def _leave_failed_run(name: str, error: ConfigError) -> None:
    """Leaves a failed run behind a command whose settings are wrong, so that the attempt is on record."""
    tracker = Tracker(load_settings(()).tracking)
    try:
        with tracker.run(name, tags={"stage": name}):
            raise error
    except (ConfigError, TrackingError):  # a store that is away must not hide what is wrong with the settings
        return


def load_settings(overrides: Sequence[str]) -> Settings:
    """Composes and validates the settings.

    Args:
        overrides: Hydra overrides without sweeps.

    Raises:
        ConfigError: A key or option is unknown, or a value is not allowed. The message names the nearest known ones.
    """
    composed = OmegaConf.to_container(_compose(overrides), resolve=True)
    assert isinstance(composed, dict)
    values: dict[str, Any] = {str(key): value for key, value in composed.items() if key not in INTERNAL}
    if not isinstance(values["as_of"], list):
        values["as_of"] = [values["as_of"]]
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()]
        raise ConfigError(
            "a value is not allowed",
            where="settings",
            count=len(faults),
            examples=faults,
            todo="See the comments in conf/ for what is allowed",
        ) from error


def data_root(overrides: Sequence[str]) -> Place:
    """The place of all published tables; one data set's own where that lies elsewhere.

    Raises:
        ConfigError: The settings are wrong.
    """
    own = load_settings(overrides).data.root
    everything = place_of(str(_compose(overrides)["data_root"]))
    if isinstance(own, Path) and isinstance(everything, Path):
        return everything if own.absolute().is_relative_to(everything.absolute()) else own
    return everything if inside(own, everything) is not None else own


def expand_sweep(overrides: Sequence[str]) -> list[tuple[str, ...]]:
    """All combinations of the comma-separated values in some overrides, in the order given.

    Raises:
        ConfigError: An override cannot be read.
    """
    choices: list[list[str]] = []
    for override in _parse(overrides):
        if override.is_sweep_override():
            key = override.get_key_element()
            choices.append([f"{key}={value}" for value in override.sweep_string_iterator()])
        else:
            choices.append([str(override.input_line)])
    return list(itertools.product(*choices))


def _parse(overrides: Sequence[str]) -> list[Any]:
    try:
        return list(OverridesParser.create().parse_overrides(list(overrides)))
    except HydraException as error:
        raise ConfigError(f"an override cannot be read: {error}", where="command line") from error


def _compose(overrides: Sequence[str]) -> DictConfig:
    for override in _parse(overrides):
        if override.is_sweep_override():
            raise ConfigError(
                "has several values",
                where=str(override.input_line),
                todo="Add -m to run once for each of them",
            )
    outside = [f"file://{folder}" for folder in _config_dirs()[1:]]
    places = [f"hydra.searchpath=[{','.join(map(json.dumps, outside))}]"] if outside else []
    with initialize_config_dir(config_dir=str(CONF), version_base="1.3", job_name="spanishgas"):
        try:
            return compose("config", overrides=[*places, *overrides])
        except (HydraException, OmegaConfBaseException) as error:
            known = _known_names(compose("config"))
            raise _explain(error, overrides, known) from error


def _config_dirs() -> list[Path]:
    """Folders of options: ours first, then those from outside.

    Raises:
        ConfigError: A folder is not there, or two folders have the same option: which one is meant would be a guess.
    """
    named = [Path(text).expanduser() for text in os.environ.get(CONFIG_DIRS_VARIABLE, "").split(os.pathsep) if text]
    folders = [CONF, *dict.fromkeys(folder.resolve() for folder in named)]
    lacking = [str(folder) for folder in named if not folder.is_dir()]
    if lacking:
        raise ConfigError("no such folder of options", where=f"--config-dir, {CONFIG_DIRS_VARIABLE}", examples=lacking)
    seen: dict[Path, Path] = {}
    twice: list[str] = []
    for folder in folders:
        for file in sorted(folder.rglob("*.yaml")):
            first = seen.setdefault(file.relative_to(folder), folder)
            if first != folder:
                twice.append(f"{file.relative_to(folder)} in {first} and {folder}")
    if twice:
        raise ConfigError(
            "the same option is in two folders",
            where=f"--config-dir, {CONFIG_DIRS_VARIABLE}",
            count=len(twice),
            examples=twice,
            todo="Give yours another name; `defaults: [other_option]` in it takes over what the other says",
        )
    return folders


def _options() -> dict[str, list[str]]:
    """Group -> its options, in all folders."""
    found: dict[str, set[str]] = {}
    for folder in _config_dirs():
        for group in (path for path in folder.iterdir() if path.is_dir() and not path.name.startswith((".", "_"))):
            if group.name in NO_GROUPS:
                continue
            found.setdefault(group.name, set()).update(file.stem for file in group.glob("*.yaml"))
    return {group: sorted(options) for group, options in sorted(found.items())}


def _explain(error: Exception, overrides: Sequence[str], known: Iterable[str]) -> ConfigError:
    """What Hydra found wrong, with the nearest known names."""
    text = str(error)
    named = {override.partition("=")[0].lstrip("+~") for override in overrides}
    options = re.search(r"Could not find '([^']+)/([^'/]+)'", text)
    if options:
        group, option = options.groups()
        available = _options().get(group, [])
        return ConfigError(
            f"has no option {option!r}", where=group, todo=f"Known options: {', '.join(available) or 'none'}"
        )
    known = list(known)
    unknown = [name for name in named if name not in known and not name.startswith("hydra")]
    if unknown:
        nearest = {name: _nearest(name, known) for name in sorted(unknown)}
        hints = "; ".join(f"nearest to {name}: {', '.join(found) or 'nothing'}" for name, found in nearest.items())
        return ConfigError("unknown setting", where=", ".join(sorted(unknown)), todo=f"{hints}")
    return ConfigError(text.strip().splitlines()[0], where="settings")


def _nearest(name: str, known: Sequence[str]) -> list[str]:
    last = name.rpartition(".")[2]
    by_leaf = [found for found in known if found.rpartition(".")[2] == last]
    return list(dict.fromkeys([*by_leaf, *difflib.get_close_matches(name, known, n=3, cutoff=0.5)]))[:3]


def _known_names(config: DictConfig) -> list[str]:
    """Every key of the default configuration, and every group."""
    names: list[str] = list(_options())

    def walk(node: dict[Any, Any], prefix: str) -> None:
        for key, inner in node.items():
            names.append(f"{prefix}{key}")
            if isinstance(inner, dict):
                walk(inner, f"{prefix}{key}.")

    plain = OmegaConf.to_container(config, resolve=False)
    assert isinstance(plain, dict)
    walk(plain, "")
    return names


def describe(name: str) -> str:
    """How to call an entry point, with the groups and options there are."""
    lines = [
        f"python -m pipelines.{name} [group=option ...] [key=value ...] [-m] [--cfg] [--traceback] [--help]",
        f'mlflow run . -e {name} -P key=value -P overrides="group=option key=value"',
        "",
        "-m       run once per combination of comma-separated values, as children of one run",
        "--cfg    print the resolved settings and stop",
        f"--config-dir DIR    options beside ours (DIR/data/mine.yaml: data=mine), also by {CONFIG_DIRS_VARIABLE}",
        "--traceback  show the traceback of an error that nobody foresaw",
        "",
        "Groups and their options:",
    ]
    lines += [f"  {group}: {', '.join(options) or '(none)'}" for group, options in _options().items()]
    return "\n".join(lines)
