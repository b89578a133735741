"""The code that travels with a model: small, of its requirements only, and in nobody's way."""

import ast
import importlib
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest

from spanishgas.config import TrackingSettings
from spanishgas.models import MODELS, ChurnModel
from spanishgas.models.files import LOADER, digest_of
from spanishgas.models.members import EXTRA
from spanishgas.registry import RunLog
from spanishgas.registry.carried_code import carry_code
from spanishgas.stages.model_packages import REQUIREMENTS
from tests.models.worlds import world
from tests.registry.worlds import package

ROOT = Path(__file__).resolve().parents[2]
# What a process must do to be as far from the project as another machine is.
FAR_AWAY = """
import sys, pandas as pd

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("spanishgas", "pipelines"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Refuse())
import mlflow
model = mlflow.pyfunc.load_model(sys.argv[1])
model.predict(pd.read_pickle(sys.argv[2])).to_pickle(sys.argv[3])
"""


def imported(file: Path) -> set[str]:
    """Top-level names of what a module imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level
            names.add(node.module or "")
    return {name.partition(".")[0] for name in names}


def test_what_travels_needs_only_its_requirements(tmp_path: Path) -> None:
    package_ = carry_code(LOADER, tmp_path)
    files = sorted(package_.rglob("*.py"))
    assert {str(file.relative_to(package_)) for file in files} >= {"__init__.py", "errors.py", "models/files.py"}
    assert len(files) <= 18
    allowed = {name for name, owners in packages_distributions().items() if set(owners) & set(REQUIREMENTS)}
    found = set[str]().union(*map(imported, files))
    # What a blend learns with travels as text and is never imported to score: tests/models/test_blend.py.
    assert found - set(sys.stdlib_module_names) - allowed - set(EXTRA) == {package_.name}


def test_every_kind_of_model_travels(tmp_path: Path) -> None:
    family = carry_code(LOADER, tmp_path) / "models"
    assert {f"{name}.py" for name in MODELS} <= {file.name for file in family.iterdir()}


def test_another_code_has_another_name_and_both_work_side_by_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = []
    for number in (1, 2):
        project = tmp_path / str(number)
        rooms = project / "spanishgas" / "models"
        rooms.mkdir(parents=True)
        (project / "spanishgas" / "__init__.py").touch()
        (rooms / "__init__.py").write_text("from spanishgas.models.files import load\n")
        (rooms / "files.py").write_text(
            f"def load():\n    from spanishgas import models\n    return {number}, models\n"
        )
        code = carry_code("spanishgas.models:load", tmp_path / "carried", root=project)
        monkeypatch.syspath_prepend(str(code.parent))
        number_told, models = importlib.import_module(f"{code.name}.models").load()
        assert (number_told, models.__name__) == (number, f"{code.name}.models")
        loaded.append(code.name)
    assert len(set(loaded)) == 2
    # The same code has the same name, and the project is what it was.
    assert carry_code("spanishgas.models:load", tmp_path / "again", root=tmp_path / "1").name == loaded[0]
    assert Path(importlib.import_module("spanishgas.models").__file__ or "").is_relative_to(ROOT)


def test_a_version_scores_where_the_project_is_not(run: RunLog, tmp_path: Path) -> None:
    model, packed = package(tmp_path / "files")
    version, _ = run.models.ensure(run.id, run.experiment_id, "churn", packed)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    local = mlflow.artifacts.download_artifacts(version.uri, dst_path=str(elsewhere / "model"))
    features, _, _, _ = world(60, seed=21)
    features.assign(customer_id="C1").to_pickle(elsewhere / "rows.pkl")
    words = [sys.executable, "-c", FAR_AWAY, local, "rows.pkl", "scores.pkl"]
    subprocess.run(words, cwd=elsewhere, check=True, capture_output=True, timeout=300)
    np.testing.assert_array_equal(
        pd.read_pickle(elsewhere / "scores.pkl").to_numpy(), model.predict(features).to_numpy()
    )


def test_a_version_of_before_loads_and_is_registered_again_with_its_code(
    run: RunLog, tmp_path: Path, tracking: TrackingSettings
) -> None:
    model, packed = package(tmp_path / "files")
    client = mlflow.MlflowClient(tracking.uri)
    code = tmp_path / "code.py"
    code.write_text(
        "import mlflow, pandas as pd\n"
        "class Old(mlflow.pyfunc.PythonModel):\n"
        "    def predict(self, context, model_input: pd.DataFrame, params=None):\n"
        "        return model_input\n"
        "mlflow.models.set_model(Old())\n"
    )
    mlflow.pyfunc.save_model(
        str(tmp_path / "old"),
        python_model=str(code),
        artifacts={"files": str(packed.files)},
        model_config={"loader": LOADER},
        pip_requirements=["numpy"],
    )
    client.create_registered_model("churn")
    client.create_model_version(
        "churn", source=str(tmp_path / "old"), run_id=run.id, tags={"files_digest": packed.digest}
    )
    old = run.models.with_number("churn", "1")
    assert old is not None
    back = ChurnModel.load(run.models.fetch(old, tmp_path / "fetched", loader=LOADER, digest=digest_of))
    features, _, _, _ = world(60, seed=21)
    np.testing.assert_array_equal(back.predict(features).to_numpy(), model.predict(features).to_numpy())
    new, made = run.models.ensure(run.id, run.experiment_id, "churn", packed)
    assert (new.version, made, new.digest) == ("2", True, old.digest)
    assert run.models.ensure(run.id, run.experiment_id, "churn", packed) == (new, False)
