"""Entry point `backup`: all published tables, the tracking store and its artifacts in one archive."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from pipelines._arguments import Arguments, words_of
from pipelines._entry import data_root, guarded, load_settings
from spanishgas.errors import ConfigError
from spanishgas.stages.backup import Backup, back_up

NAME = "backup"
OWN = ("archive", "only", "with_key")
USE = "Say archive=FILE; only=tables leaves out the tracking store, with_key=true takes the key of erasures too"


def main(argv: Sequence[str] | None = None) -> int:
    """Takes a backup; returns the exit code."""
    return guarded(NAME, _backup, argv)


def _backup(arguments: Arguments, console: Console) -> int:
    own, settings = words_of(arguments, OWN)
    if not own.get("archive") or own.get("only", "tables") != "tables" or own.get("with_key") not in (None, "true"):
        raise ConfigError("what is asked for is not clear", where=NAME, examples=arguments.overrides, todo=USE)
    whole = load_settings(settings)
    uri = os.environ.get("MLFLOW_TRACKING_URI") or whole.tracking.uri
    taken = back_up(
        data_root(settings),
        None if "only" in own else uri,
        Path(own["archive"]),
        lambda text: console.print(f"{NAME}: {text}", markup=False),
        with_key="with_key" in own,
        cache=whole.storage.cache,
    )
    console.print(f"[bold]{NAME}[/] done", end="  ")
    console.print(told_of(taken), markup=False)
    return 0


def told_of(found: Backup) -> str:
    """What was taken or put back, in words."""
    told = f"{found.place}: {found.publications:,} publications, {found.files:,} files, {found.size / 2**20:,.1f} MiB"
    if found.runs_ended:
        told += f"; {found.runs_ended} runs at work, which are KILLED in it"
    if found.keys:
        told += f"; with the key of erasures of {', '.join(found.keys)}: keep it as you keep that key"
    if found.without_keys:
        told += f"; without the key of erasures of {', '.join(found.without_keys)}: keep that elsewhere"
    return told


if __name__ == "__main__":
    sys.exit(main())
