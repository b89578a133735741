"""The walk-through for newcomers: its commands are run in its order, on a smaller retailer."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tests.pages import crowded, undeclared, unexplained
from tests.support import without_tracking_variables

ROOT = Path(__file__).resolve().parents[2]
GUIDE = ROOT / "docs" / "getting_started.md"
# A model of so few customers passes no gate, and figures need no intervals here.
SMALL = (
    "data.customers=250",
    "promotion.mode=force",
    "promotion.reason=small",
    "evaluation.replicates=20",
    "evaluation.explained_rows=50",
    "segmentation.stability_draws=2",
    "model.rounds=30",
    "policy.simulation.replicates=20",
    "policy.simulation.acceptance_factors=[1.0]",
    "policy.simulation.risk_factors=[1.0]",
    "policy.simulation.budget_factors=[1.0]",
)
DEMO = "python -m pipelines.run_pipeline"


def commands() -> list[str]:
    """Lines of the guide's blocks."""
    blocks = re.findall(r"```bash\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    return [line for block in blocks for line in block.strip().splitlines()]


def test_make_demo_is_the_pipeline() -> None:
    makefile = (ROOT / "Makefile").read_text()
    (recipe,) = re.findall(r"^demo:.*\n\t(.*)$", makefile, re.MULTILINE)
    assert DEMO in recipe
    assert commands()[0] == "make demo"


@pytest.fixture
def copy(tmp_path: Path, empty_store: Path) -> Path:
    """The project as a newcomer has it, apart from the environment and the hour's history."""
    for name in ("conf", "pipelines", "spanishgas"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("MLproject", "python_env.yaml", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    return tmp_path


def small(command: str) -> list[str]:
    """A command of the guide on the smaller retailer; what the command says itself stays."""
    words = shlex.split(DEMO if command == "make demo" else command)
    keys = {word.partition("=")[0] for word in words}
    logistic = "model=logistic" in words
    extra = [one for one in SMALL if one.partition("=")[0] not in keys and not (logistic and one.startswith("model."))]
    if words[:2] == ["mlflow", "run"]:
        return [*words, "-P", "overrides=" + " ".join(extra)]
    return [*words, *extra] if words[:2] == ["python", "-m"] else words


@pytest.mark.drill
def test_the_commands_of_the_guide_work_in_its_order(copy: Path) -> None:
    with without_tracking_variables():
        environment = {
            **os.environ,
            "PYTHONPATH": str(copy),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "MLFLOW_EXPERIMENT_NAME": "spanishgas",
            "MLFLOW_TRACKING_URI": f"sqlite:///{copy / 'mlflow.db'}",
            "OMP_NUM_THREADS": "1",
        }
    # What is run is a copy: measuring its coverage would tell nothing and take a third longer.
    environment = {name: value for name, value in environment.items() if not name.startswith("COVERAGE_")}
    told = {}
    for command in commands():
        if command.startswith(("source ", "export ")):
            continue
        done = subprocess.run(small(command), cwd=copy, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"
        told[command] = done.stdout + done.stderr
    first, *later = [text for command, text in told.items() if "run_pipeline" in command or command == "make demo"]
    for line in (
        "champion",
        "offers",
        "expected",
        "replayed",
        "14 steps in",
        "training",
        ", 0 of them published before",
    ):
        assert line in first, first[-3000:]
    assert "14 steps in" in later[0]
    # What is decided anew in every run is not published: all else is found.
    assert ", 14 of them published before" in later[0] or ", 13 of them published before" in later[0]
    assert not list(copy.glob("data/**/_staging/*/*"))
    # What these runs hold and publish is what the pages of the stages tell.
    client = MlflowClient(environment["MLFLOW_TRACKING_URI"])
    assert sorted(unexplained(client)) == []
    assert list(crowded(client)) == []
    assert sorted(undeclared(copy / "data")) == []
