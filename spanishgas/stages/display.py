"""What a terminal shows while stages work: which step, of how many, what it is doing, for how long."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn


class Line(Protocol):
    """The line that tells what is being done."""

    def update(self, status: str) -> None:
        """Shows another text."""


class Display(Protocol):
    """Where a stage shows what it is doing; a rich ``Console`` is one."""

    def status(self, status: str) -> AbstractContextManager[Line]:
        """A line for as long as the block runs."""

    def print(self, *objects: Any, markup: bool | None = None) -> None:
        """Says something that stays to be read."""


class _Silent:
    def update(self, status: str) -> None:
        """Shows nothing."""


@dataclass(frozen=True)
class _Bar:
    progress: Progress
    task: TaskID

    def update(self, status: str) -> None:
        """Shows another text beside the bar."""
        self.progress.update(self.task, description=status)


class Steps:
    """A bar over the steps of a pipeline, with the time that the present one has taken.

    Without a terminal, as in a scheduler's log, every step says when it begins.

    Args:
        console: Where to show it.
        total: Steps there are.
    """

    def __init__(self, console: Console, total: int) -> None:
        self.console = console
        self._total = total
        self._place = 0
        self._progress = Progress(
            SpinnerColumn(),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}", markup=False),
            console=console,
            transient=True,
        )

    @property
    def label(self) -> str:
        """Which step of how many."""
        return f"[{self._place}/{self._total}]"

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Shows one step while the block runs."""
        self._place += 1
        if not self.console.is_terminal:
            self.console.print(f"{self.label} {name} ...", markup=False)
        yield

    def print(self, *objects: Any, markup: bool | None = None) -> None:
        """Says something that stays to be read."""
        self.console.print(*objects, markup=markup)

    @contextmanager
    def status(self, status: str) -> Iterator[Line]:
        """Shows what the present step is doing; nothing without a terminal, where lines would pile up."""
        if not self.console.is_terminal:
            yield _Silent()
            return
        with self._progress:
            task = self._progress.add_task(status, total=self._total, completed=self._place - 1)
            try:
                yield _Bar(self._progress, task)
            finally:
                self._progress.remove_task(task)
