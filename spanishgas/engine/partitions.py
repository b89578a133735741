"""Work in partitions: each in an engine session of its own, one after the other or in worker processes side by side.

Worker processes are started afresh (``spawn``): the process that asks has threads, and a copy of it could wait for ever
for a lock that one of them held. What is handed to a worker and back is pickled; rows go through scratch files.
"""

import multiprocessing
import os
import signal
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from threading import Thread
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt

from spanishgas.config import EngineSettings
from spanishgas.errors import WorkerError

Session = TypeVar("Session")
Partition = TypeVar("Partition")
Result = TypeVar("Result")
OpenSession = Callable[[EngineSettings, Path], AbstractContextManager[Session]]


@dataclass(frozen=True)
class Ranges:
    """Ranges of keys that follow each other: which one a key belongs to follows from the key alone.

    Attributes:
        firsts: First key of every range but the first, ascending in the order of their code points, which is that of
            their UTF-8 bytes.
    """

    firsts: tuple[str, ...] = ()

    @classmethod
    def of(cls, rows: Mapping[str, int], count: int) -> "Ranges":
        """Ranges of about equally many rows.

        Args:
            rows: Key -> rows, of all keys or of a sample.
            count: Ranges wanted; there are fewer where there are fewer keys.
        """
        keys = sorted(rows)
        total = np.cumsum([rows[key] for key in keys])
        if not keys or count < 2:
            return cls()
        wanted = total[-1] * np.arange(1, count) / count
        places = np.unique(np.searchsorted(total, wanted, side="left") + 1)
        return cls(tuple(keys[place] for place in places if place < len(keys)))

    def __len__(self) -> int:
        return len(self.firsts) + 1

    def places(self, keys: Sequence[str]) -> npt.NDArray[np.int64]:
        """Range of each key, from 0."""
        return np.fromiter((bisect_right(self.firsts, key) for key in keys), np.int64, len(keys))


def map_partitions(
    partitions: Sequence[Partition],
    work: Callable[[Session, Partition], Result],
    open_session: OpenSession[Session],
    settings: EngineSettings,
    scratch: Path,
    workers: int,
) -> Iterator[Result]:
    """Applies a function to partitions of work.

    Args:
        partitions: The partitions; with several workers they and the results are pickled.
        work: Called once per partition, with an open session; with several workers a function of a module.
        open_session: Opens a session, given settings and a scratch folder; a function of a module.
        settings: Settings of each session.
        scratch: Folder for the sessions; the sessions' own folders are removed with them.
        workers: Worker processes; with 1 the work is done in this process.

    Yields:
        The results, in the order of the partitions.

    Raises:
        WorkerError: A worker process ended before its work was done.
    """
    jobs = [_Job(work, open_session, settings, scratch / str(n), one) for n, one in enumerate(partitions)]
    if workers == 1 or len(jobs) < 2:
        for job in jobs:
            yield job()
        return
    before = set(multiprocessing.active_children())
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(workers, len(jobs)), mp_context=context, initializer=_begin)
    waiting: list[Future[Result]] = []
    try:
        waiting += [pool.submit(job) for job in jobs]
        for number, future in enumerate(waiting):
            try:
                yield future.result()
            except BrokenProcessPool as error:
                raise WorkerError(
                    "a worker process ended before its work was done",
                    where=f"partition {number + 1} of {len(jobs)}",
                    todo="Nothing was published. If the system was out of memory, lower engine.workers or "
                    "engine.memory_limit_mib; then run again",
                ) from error
        pool.shutdown()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        if not all(future.done() and not future.cancelled() for future in waiting):
            # The caller failed or stopped: results that nobody reads are not waited for.
            for worker in set(multiprocessing.active_children()) - before:
                worker.terminate()


@dataclass(frozen=True)
class _Job(Generic[Session, Partition, Result]):
    """One partition with what its worker needs."""

    work: Callable[[Session, Partition], Result]
    open_session: OpenSession[Session]
    settings: EngineSettings
    scratch: Path
    partition: Partition

    def __call__(self) -> Result:
        try:
            with self.open_session(self.settings, self.scratch) as session:
                return self.work(session, self.partition)
        finally:
            rmtree(self.scratch, ignore_errors=True)


def _begin() -> None:
    """Begins a worker: the parent handles interrupts, and a worker does not outlive it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
