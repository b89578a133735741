"""The registered model outside of the project: the recipes of the guide, with environments of their own."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest

from spanishgas.stages import score
from tests.e2e.served import free_port
from tests.e2e.worlds import Retailer

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "use_the_model.md"
AS_OF = "2024-11-30"
BIN = Path(sys.executable).parent
pytestmark = pytest.mark.drill


def blocks(language: str) -> list[str]:
    """Blocks of code of the guide, on this retailer's dates."""
    text = GUIDE.read_text().replace("2026-01-31", AS_OF)
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


@pytest.fixture
def environment(retailer: Retailer, tmp_path: Path) -> dict[str, str]:
    """A shell in the project's folder; environments that MLflow makes go with the test."""
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")},
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path / 'mlflow.db'}",
        "MLFLOW_ENV_ROOT": str(tmp_path / "environments"),
        # The project is on this path where the tests run; the model must not need it.
        "PYTHONPATH": "",
    }


def run(command: str, folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        shlex.split(command), cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    offline = re.search(r"dns error|Could not resolve|Failed to fetch|Network is unreachable", done.stderr)
    if done.returncode and offline:
        pytest.skip(f"the package index is out of reach: {offline[0]}")
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@contextmanager
def running(command: str, folder: Path, environment: dict[str, str], port: int) -> Iterator[None]:
    """A server that answers, until the block ends."""
    log = folder / "server.log"
    with log.open("w") as sink:
        server = subprocess.Popen(
            shlex.split(command), cwd=folder, env=environment, stdout=sink, stderr=sink, start_new_session=True
        )
    try:
        for _ in range(600):
            assert server.poll() is None, log.read_text()[-4000:]
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=5).close()
                break
            except OSError:
                time.sleep(0.5)
        else:
            raise AssertionError(log.read_text()[-4000:])
        yield
    finally:
        os.killpg(server.pid, 15)
        server.wait(60)


def test_the_recipes_work_in_their_order_and_score_as_published(
    retailer: Retailer, tmp_path: Path, environment: dict[str, str]
) -> None:
    published = retailer.table(retailer.run(score.STAGE), "scoring").set_index("customer_id")
    told = {}
    serving = ""
    port = free_port()
    for block in blocks("bash"):
        for command in block.strip().splitlines():
            command = command.replace("5001", str(port)).replace("--python 3.11", f"--python {sys.executable}")
            if command.startswith(("source ", "export ", "docker ")):
                continue
            if "models serve" in command:
                serving = command
            elif command.startswith("curl "):
                with running(serving, tmp_path, environment, port):
                    told["curl"] = run(command, tmp_path, environment)
            else:
                told[command] = run(command, tmp_path, environment)
    # The file, by the model's own environment: every score, but for the last digit of numbers in text.
    rows = pd.read_csv(tmp_path / "build" / "customers.csv")
    found = pd.DataFrame(json.loads((tmp_path / "build" / "scores.json").read_text())["predictions"])
    wanted = published.loc[rows["customer_id"], list(found.columns)].reset_index(drop=True)
    pd.testing.assert_frame_equal(found, wanted, rtol=1e-12)
    # The server answers the version's own example as the bare environment does.
    answer = pd.DataFrame(json.loads(told["curl"])["predictions"])
    (bare,) = (text for command, text in told.items() if command.startswith("build/environment"))
    assert all(f"{value:.6f}" in bare for value in answer["risk"]), bare
    # The image installs the model's own environment.
    image = (tmp_path / "build" / "churn-image" / "Dockerfile").read_text()
    assert "COPY model_dir /opt/ml/model" in image
    assert (tmp_path / "build" / "churn-image" / "model_dir" / "constraints.txt").is_file()
    # The recipe in Python, from the version's files alone, in another folder, on the table as it is published.
    elsewhere = tmp_path / "elsewhere"
    shutil.move(tmp_path / "build" / "churn", elsewhere / "churn")
    recipe, _ = blocks("python")
    script = recipe.replace("models:/churn@champion", "churn").replace("data/gold", str(retailer.root / "gold"))
    script += (
        "import importlib.util\nassert importlib.util.find_spec('spanishgas') is None\n"
        "features[['customer_id']].assign(**scores).to_parquet('scores.parquet')\n"
    )
    (elsewhere / "recipe.py").write_text(script)
    run(f"{tmp_path / 'build' / 'environment' / 'bin' / 'python'} recipe.py", elsewhere, environment)
    found = pd.read_parquet(elsewhere / "scores.parquet").set_index("customer_id")
    assert len(found) == len(published)
    pd.testing.assert_frame_equal(found, published.loc[found.index, list(found.columns)], check_exact=True)


def test_the_best_model_is_found_by_what_was_measured_on_the_same_rows(
    retailer: Retailer, tmp_path: Path, environment: dict[str, str]
) -> None:
    _, recipe = blocks("python")
    script = f"import mlflow\nprint(len({recipe.strip()}))"
    assert int(run(f"{sys.executable} -c {shlex.quote(script)}", tmp_path, environment)) >= 1
