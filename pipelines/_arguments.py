"""The three ways in which settings arrive, brought into one: a list of Hydra overrides.

``python -m pipelines.train model=xgboost`` gives overrides as they are; ``mlflow run -P model=xgboost`` appends
``--model xgboost``; ``-P overrides="model=xgboost experiment=wide"`` arrives as ``--overrides "..."``.
"""

import shlex
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from spanishgas.errors import ConfigError

FROM_RUN = "from_run"
FLAGS = {
    "-m": "multirun",
    "--multirun": "multirun",
    "--cfg": "show",
    "--traceback": "traceback",
    "-h": "help",
    "--help": "help",
}
CONFIG_DIR = "config_dir"
# Other names of settings.
ALIASES = {"asof_date": "as_of"}
# Short names that only one entry point knows.
SHORT = {"onboard": {name: f"onboarding.{name}" for name in ("raw", "name", "into", "run_date", "overwrite")}}
# Flags of Hydra's own command line that mean nothing here; as settings they would be unknown, or be taken for another.
HYDRAS = {
    "-cn", "--config-name", "-cp", "--config-path", "-i", "--info", "-r", "--run", "-p", "--package", "-c", "--resolve",
    "--hydra-help", "--version", "-sc", "--shell-completion", "--experimental-rerun",
}  # fmt: skip


@dataclass(frozen=True)
class Arguments:
    """What a stage was called with.

    Attributes:
        overrides: Hydra overrides, in order.
        multirun: Run once per combination of comma-separated values.
        show: Print the resolved settings and stop.
        help: Print how to call the stage and stop.
        config_dirs: Folders of options beside ours.
        from_run: Run whose settings are taken; overrides come on top.
        traceback: Show the traceback of an error that nobody foresaw.
    """

    overrides: tuple[str, ...]
    multirun: bool = False
    show: bool = False
    help: bool = False
    config_dirs: tuple[str, ...] = ()
    from_run: str | None = None
    traceback: bool = False


def read_arguments(argv: list[str], entry: str = "") -> Arguments:
    """Reads a command line.

    Args:
        argv: The arguments.
        entry: Name of the entry point, whose own short names are known.

    Raises:
        ConfigError: An option has no value, an argument is neither an option nor an override, or a setting is given
            under two names with two values.
    """
    overrides: list[str] = []
    flags: set[str] = set()
    waiting = list(argv)
    while waiting:
        argument = waiting.pop(0)
        if argument in FLAGS:
            flags.add(FLAGS[argument])
        elif argument.partition("=")[0] in HYDRAS:
            raise ConfigError(
                "is a flag of Hydra's that has no use here",
                where=argument,
                todo="--cfg prints the resolved settings, -m sweeps, --config-dir adds a folder of options",
            )
        elif argument.startswith("--") or argument.partition("=")[0] == "-cd":
            name, given, value = argument.lstrip("-").partition("=")
            if not given:
                if not waiting:
                    raise ConfigError("has no value", where=argument, todo=f"Write {argument} VALUE or {name}=VALUE")
                value = waiting.pop(0)
            if name == "overrides":
                waiting[:0] = shlex.split(value)
            else:
                name = CONFIG_DIR if name == "cd" else name.replace("-", "_")
                overrides.append(f"{name}={value}")
        elif "=" in argument or argument.startswith("~"):
            overrides.append(argument)
        else:
            raise ConfigError(
                f"{argument!r} is not a setting", where="command line", todo="Write key=value, or --key value"
            )
    folders = [value for name, value in map(_split, overrides) if name == CONFIG_DIR]
    runs = [value for name, value in map(_split, overrides) if name == FROM_RUN and value]
    settings = [override for override in overrides if _split(override)[0] not in (CONFIG_DIR, FROM_RUN)]
    return Arguments(
        _one_name(settings, {**ALIASES, **SHORT.get(entry, {})}),
        "multirun" in flags,
        "show" in flags,
        "help" in flags,
        tuple(folders),
        runs[-1] if runs else None,
        "traceback" in flags,
    )


def words_of(arguments: Arguments, own: Collection[str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """What a command that is no stage is told: words of its own, and the settings.

    Args:
        arguments: The command line.
        own: Names of its own words.
    """
    split = [_split(one) for one in arguments.overrides]
    return {name: value for name, value in split if name in own}, tuple(
        one for one, (name, _) in zip(arguments.overrides, split, strict=True) if name not in own
    )


def _split(override: str) -> tuple[str, str]:
    name, _, value = override.partition("=")
    return name, value


def _one_name(overrides: list[str], aliases: Mapping[str, str]) -> tuple[str, ...]:
    """Overrides with every setting under the name that the configuration has.

    Raises:
        ConfigError: A setting is given under both of its names, with different values.
    """
    values = dict(map(_split, overrides))
    for alias, name in aliases.items():
        if alias in values and values.get(name, values[alias]) != values[alias]:
            raise ConfigError(
                f"is another name of {name}, and the two have different values",
                where=f"{alias}={values[alias]}, {name}={values[name]}",
                todo="Give one of them",
            )
    renamed = (override.partition("=") for override in overrides)
    return tuple(f"{aliases.get(name, name)}{given}{value}" for name, given, value in renamed)
