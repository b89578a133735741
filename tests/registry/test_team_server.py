"""The registry on PostgreSQL, directly and behind an MLflow server, with several workers at once; for real."""

import multiprocessing
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import mlflow
import numpy as np
import pytest

from spanishgas.config import TrackingSettings
from spanishgas.errors import TrackingError
from spanishgas.models import ChurnModel
from spanishgas.models.files import digest_of
from spanishgas.registry import CHAMPION, ModelRegistry, Tracker, Verdict
from spanishgas.registry.models import DIGEST_TAG
from tests.models.worlds import world
from tests.postgres import free_port, new_database, postgres
from tests.registry.test_models import LOADER, package
from tests.support import without_tracking_variables

__all__ = ["postgres"]
pytestmark = pytest.mark.drill
PROCESSES, THREADS = 2, 10


def _settings(uri: str, folder: Path, lock: str | None = None) -> TrackingSettings:
    return TrackingSettings(uri=uri, artifacts=folder / "artifacts", experiment="spanishgas", lock=lock)


def _begin(settings: TrackingSettings) -> str:
    with Tracker(settings).run("silver", tags={"stage": "silver"}) as run:
        return run.experiment_id


def _promote(settings: TrackingSettings, numbers: list[int]) -> list[str]:
    """Some of the promotions, in threads of one process; all were compared with the champion of digest `a`."""
    tracker = Tracker(settings)
    client = tracker.client

    def one(number: int) -> str:
        with tracker.run("promote", tags={"stage": "promote"}) as run:
            candidate = run.models.with_number("churn", str(number))
            assert candidate is not None
            return run.champions.decide(run.id, Verdict(candidate, "a", passed=True, reason="Better.")).action

    assert client is not None
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(one, numbers))


def _twenty(settings: TrackingSettings) -> None:
    """One champion, then twenty promotions at once from several processes."""
    tracker = Tracker(settings)
    client = tracker.client
    client.create_registered_model("churn")
    with tracker.run("promote", tags={"stage": "promote"}) as run:
        for digest in ("a", *(f"candidate {number}" for number in range(PROCESSES * THREADS))):
            client.create_model_version(
                "churn", source=f"runs:/{run.id}/model", run_id=run.id, tags={DIGEST_TAG: digest}
            )
        first = run.models.with_number("churn", "1")
        assert first is not None
        run.champions.decide(run.id, Verdict(first, "", passed=True, reason="The first."))
    numbers = [list(range(2 + start, 2 + start + THREADS)) for start in range(0, PROCESSES * THREADS, THREADS)]
    with ProcessPoolExecutor(PROCESSES, mp_context=multiprocessing.get_context("spawn")) as pool:
        found = [action for part in pool.map(_promote, [settings] * PROCESSES, numbers) for action in part]
    assert sorted(found) == ["conflict"] * 19 + ["promoted"]
    with tracker.run("promote", tags={}) as run:
        told = run.champions.history("churn")
        (winner,) = (one for one in told if one.action == "promoted" and one.before)
        champion = run.models.with_alias("churn", CHAMPION)
        assert champion is not None
        assert champion.version == winner.after
        assert len(told) == 21
        assert all(one.reason for one in told)
        # PostgreSQL takes no description of over 5,000 characters, SQLite takes any.
        assert run.champions.rollback(run.id, "churn", "enough " * 1000).after == "1"
        told = run.champions.history("churn")
        assert (told[-1].action, told[-1].state) == ("rolled back", "done")
        assert len(tracker.client.get_registered_model("churn").description) <= 5000


def test_several_workers_initialise_one_database_once_and_promote(postgres: str, tmp_path: Path) -> None:
    settings = _settings(new_database(postgres, "direct"), tmp_path)
    with without_tracking_variables():
        with ProcessPoolExecutor(PROCESSES, mp_context=multiprocessing.get_context("spawn")) as pool:
            experiments = set(pool.map(_begin, [settings] * PROCESSES))
        assert len(experiments) == 1
        _twenty(settings)


def test_the_dead_hold_no_lock_in_the_database(postgres: str, tmp_path: Path) -> None:
    from spanishgas.registry.locks import exclusive
    from tests.registry.test_locks import _hold

    address, ready = new_database(postgres, "locks"), tmp_path / "ready"
    holder = multiprocessing.get_context("spawn").Process(target=_hold, args=(address, ready))
    holder.start()
    while not ready.exists():
        time.sleep(0.02)
    with pytest.raises(TrackingError, match="held by another"), exclusive(address, "churn", wait_seconds=0.2):
        pass
    assert holder.pid is not None
    os.kill(holder.pid, 9)
    holder.join()
    with exclusive(address, "churn", wait_seconds=10):
        pass


@pytest.fixture
def server(postgres: str, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Addresses of an MLflow server with two workers, and of the database behind it."""
    database, port = new_database(postgres, "behind"), free_port()
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", database, "--workers", "2"]
    command += ["--host", "127.0.0.1", "--port", str(port), "--artifacts-destination", str(tmp_path / "served")]
    log = (tmp_path / "server.log").open("w")
    with without_tracking_variables():
        running = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, cwd=tmp_path)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                with urllib.request.urlopen(f"{address}/health", timeout=2):
                    break
            except OSError:
                assert running.poll() is None, (tmp_path / "server.log").read_text()[-2000:]
                time.sleep(0.2)
        yield address, database
    finally:
        os.killpg(running.pid, 9)
        running.wait()
        log.close()


def test_a_team_shares_one_server(server: tuple[str, str], tmp_path: Path) -> None:
    address, database = server
    with without_tracking_variables():
        alone = Tracker(_settings(address, tmp_path))
        _, packed = package(tmp_path / "files")
        with alone.run("train", tags={"stage": "train"}) as run:
            version, made = run.models.ensure(run.id, run.experiment_id, "churn-team", packed)
            assert made
            # Its artifacts lie with the server, not here.
            assert not (tmp_path / "artifacts").exists()
            # A promotion needs a lock that all share: nothing is decided without one.
            with pytest.raises(TrackingError, match="offers no lock"):
                run.champions.decide(run.id, Verdict(version, "", passed=True, reason="The first."))
            assert run.models.with_alias("churn-team", CHAMPION) is None
        model = ChurnModel.load(
            ModelRegistry(alone.client).fetch(version, tmp_path / "fetched", loader=LOADER, digest=digest_of)
        )
        features, _, _, _ = world(40, seed=3)
        served = mlflow.pyfunc.load_model(version.uri).predict(features)
        np.testing.assert_array_equal(served.to_numpy(), model.predict(features).to_numpy())
        _twenty(_settings(address, tmp_path, lock=database))
