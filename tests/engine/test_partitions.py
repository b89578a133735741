"""Work in partitions, in this process and in workers: the same answers, and nothing hidden when a worker ends."""

import os
import signal
import threading
from pathlib import Path

import ibis
import pytest

from spanishgas.config import EngineSettings
from spanishgas.engine.session import Engine, open_engine
from spanishgas.errors import ContractError, WorkerError


def doubled(engine: Engine, number: int) -> tuple[int, int, int, int, bool]:
    """Twice a number, and where it was computed."""
    value = engine.integer((ibis.literal(number) * 2).cast("int64"))
    settings = engine.settings
    return value, os.getpid(), engine.threads, settings.memory_limit_mib, threading.active_count() < 50


def faulty(engine: Engine, number: int) -> int:
    if number == 2:
        raise ContractError("a row is wrong", where="somewhere", count=number, todo="Mend it")
    return number


def killed(engine: Engine, number: int) -> int:
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def written(engine: Engine, folder: Path) -> bool:
    file = engine.scratch("kept")
    file.write_text("x")
    return file.is_file()


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.drill)])
def test_answers_come_in_the_order_of_the_partitions(tmp_path: Path, workers: int) -> None:
    settings = EngineSettings(threads=4, memory_limit_mib=2048, workers=workers)
    with open_engine(settings, tmp_path / "scratch") as engine:
        found = list(engine.map_partitions(range(6), doubled))
    assert [value for value, *_ in found] == [0, 2, 4, 6, 8, 10]
    # Workers share threads and memory, half of which is left to the session that asks.
    assert {(threads, memory) for _, _, threads, memory, _ in found} == {(4 // workers, 1024 // workers)}
    processes = {process for _, process, *_ in found}
    assert (os.getpid() in processes) == (workers == 1)
    assert len(processes) <= workers


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_a_partition_is_the_error_of_the_work(tmp_path: Path, workers: int) -> None:
    with open_engine(EngineSettings(threads=1, workers=workers), tmp_path / "scratch") as engine:
        results = engine.map_partitions([1, 2, 3], faulty)
        assert next(results) == 1
        with pytest.raises(ContractError, match=r"somewhere: a row is wrong \(2 affected\). Mend it") as caught:
            list(results)
    assert (caught.value.count, caught.value.todo) == (2, "Mend it")


@pytest.mark.drill
def test_a_killed_worker_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with open_engine(EngineSettings(threads=1, workers=2), tmp_path / "scratch") as engine:
        with pytest.raises(WorkerError, match=r"partition \d of 3: a worker process ended.*lower engine\.workers"):
            list(engine.map_partitions([1, 2, 3], killed))
        # The session goes on.
        assert [value for value, *_ in engine.map_partitions([7, 8], doubled)] == [14, 16]


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.drill)])
def test_scratch_files_of_a_partition_go_with_it(tmp_path: Path, workers: int) -> None:
    scratch = tmp_path / "scratch"
    with open_engine(EngineSettings(threads=1, workers=workers), scratch) as engine:
        assert list(engine.map_partitions([tmp_path, tmp_path], written)) == [True, True]
        assert [path for path in scratch.rglob("*") if path.is_file()] == []
