"""The three ways in which settings arrive, brought into one: a list of Hydra overrides.

``python -m pipelines.train model=xgboost`` gives overrides as they are; ``mlflow run -P model=xgboost`` appends
``--model xgboost``; ``-P overrides="model=xgboost experiment=wide"`` arrives as ``--overrides "..."``.
"""

import shlex
from dataclasses import dataclass

from spanishgas.errors import ConfigError

FLAGS = {
    "-m": "multirun",
    "--multirun": "multirun",
    "--cfg": "show",
    "--traceback": "traceback",
    "-h": "help",
    "--help": "help",
}


@dataclass(frozen=True)
class Arguments:
    """What a stage was called with.

    Attributes:
        overrides: Hydra overrides, in order.
        multirun: Run once per combination of comma-separated values.
        show: Print the resolved settings and stop.
        help: Print how to call the stage and stop.
        traceback: Show the traceback of an error that nobody foresaw.
    """

    overrides: tuple[str, ...]
    multirun: bool = False
    show: bool = False
    help: bool = False
    traceback: bool = False


def read_arguments(argv: list[str]) -> Arguments:
    """Reads a command line.

    Raises:
        ConfigError: An option has no value, or an argument is neither an option nor an override.
    """
    overrides: list[str] = []
    flags: set[str] = set()
    waiting = list(argv)
    while waiting:
        argument = waiting.pop(0)
        if argument in FLAGS:
            flags.add(FLAGS[argument])
        elif argument.startswith("--"):
            name, given, value = argument[2:].partition("=")
            if not given:
                if not waiting:
                    raise ConfigError("has no value", where=argument, todo=f"Write {argument} VALUE or {name}=VALUE")
                value = waiting.pop(0)
            if name == "overrides":
                waiting[:0] = shlex.split(value)
            else:
                overrides.append(f"{name.replace('-', '_')}={value}")
        elif "=" in argument or argument.startswith("~"):
            overrides.append(argument)
        else:
            raise ConfigError(
                f"{argument!r} is not a setting", where="command line", todo="Write key=value, or --key value"
            )
    return Arguments(tuple(overrides), "multirun" in flags, "show" in flags, "help" in flags, "traceback" in flags)
