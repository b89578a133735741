"""Entry point `restore`: an archive of `backup`, put into an empty place, whole and checked, or not at all."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from pipelines._arguments import Arguments, words_of
from pipelines._entry import guarded, load_settings
from pipelines.backup import told_of
from spanishgas.config.places import ObjectAddress, Place, place_of
from spanishgas.engine.suppression import Suppression
from spanishgas.errors import ConfigError
from spanishgas.registry import Tracker
from spanishgas.stages import erase
from spanishgas.stages.backup import ARTIFACTS, DATA, STORE, restore
from spanishgas.stages.runner import run_stage

NAME = "restore"
OWN = ("archive", "into", "erased")
USE = "Say archive=FILE into=DIR; erased=PLACE is a newer data root whose list of erased customers is to hold"
URI = "MLFLOW_TRACKING_URI"


def main(argv: Sequence[str] | None = None) -> int:
    """Restores a backup; returns the exit code."""
    return guarded(NAME, _restore, argv)


def _restore(arguments: Arguments, console: Console) -> int:
    own, others = words_of(arguments, OWN)
    if not own.get("archive") or not own.get("into"):
        raise ConfigError("what is asked for is not clear", where=NAME, examples=arguments.overrides, todo=USE)
    if isinstance(_place(own["into"]), ObjectAddress):
        raise ConfigError(
            "an archive is put into a folder", where=f"into={own['into']}", todo=f"{USE}; then copy {DATA} there"
        )
    load_settings(others)  # wrong ones are told before anything is done
    found = restore(
        Path(own["archive"]),
        Path(own["into"]),
        lambda text: console.print(f"{NAME}: {text}", markup=False),
        erased=_place(own["erased"]) if "erased" in own else None,
    )
    console.print(f"[bold]{NAME}[/] done", end="  ")
    console.print(told_of(found), markup=False)
    there = [f"data_root={found.place / DATA}"]
    if (found.place / STORE).is_file():
        there += [f"tracking.uri=sqlite:///{found.place / STORE}", f"tracking.artifacts={found.place / ARTIFACTS}"]
    if "erased" in own:
        _erase(others, there, console)
    console.print(f"commands work on it in {found.place}, or with {' '.join(there)}", markup=False)
    return 0


def _place(text: str) -> Place:
    """A folder or an address.

    Raises:
        ConfigError: It is an address of another kind.
    """
    try:
        return place_of(text)
    except ValueError as error:
        raise ConfigError(str(error), where=NAME, todo=USE) from error


def _erase(others: Sequence[str], there: Sequence[str], console: Console) -> None:
    """Takes those who were erased since the backup out of what was put back."""
    settings = load_settings((*others, *there, "erasure.mode=erase"))
    if not Suppression.of(settings.data.root).hashes:
        return
    with _tracked_at(settings.tracking.uri if len(there) > 1 else None):
        outcome = run_stage(erase.STAGE, settings, Tracker(settings.tracking), console=console)
    console.print(f"{erase.STAGE.name}: {outcome.headline}", markup=False)


@contextmanager
def _tracked_at(uri: str | None) -> Iterator[None]:
    """The environment's store would win over the one that was put back."""
    before = os.environ.get(URI)
    if uri is not None:
        os.environ[URI] = uri
    try:
        yield
    finally:
        os.environ.pop(URI, None)
        if before is not None:
            os.environ[URI] = before


if __name__ == "__main__":
    sys.exit(main())
