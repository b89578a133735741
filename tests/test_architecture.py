"""The house: which rooms there are, and that the linter knows them all."""

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LINTER = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
DOORS = {
    "door-mlflow": {"spanishgas.registry"},
    "door-mlserver": {"spanishgas.serving"},
    "door-evidently": {"spanishgas.monitoring"},
    "door-streamlit": {"spanishgas.dashboard"},
    "door-engine": {"spanishgas.engine"},
    "door-storage": {"spanishgas.engine"},
}
WITHOUT_DOORS = {"spanishgas.errors"}


def rooms() -> set[str]:
    package = ROOT / "spanishgas"
    folders = {path.name for path in package.iterdir() if (path / "__init__.py").is_file()}
    files = {path.stem for path in package.glob("*.py")} - {"__init__"}
    return {f"spanishgas.{name}" for name in folders | files}


def test_every_room_stands_on_a_floor() -> None:
    (floors,) = (contract for contract in LINTER["contracts"] if contract["id"] == "floors")
    named = {room.strip(" ()") for layer in floors["layers"] for room in layer.split("|")}
    assert rooms() <= named


def test_every_room_is_kept_from_every_door_but_its_own() -> None:
    for contract in LINTER["contracts"]:
        if contract["id"] in DOORS:
            kept_out = set(contract["source_modules"])
            assert rooms() - DOORS[contract["id"]] - WITHOUT_DOORS <= kept_out, contract["id"]


def test_importing_the_rooms_loads_nothing_heavy() -> None:
    """Heavy libraries are imported where they are used; models are scikit-learn's estimators and cannot wait for it."""
    names = sorted((rooms() - {"spanishgas.models"}) | {"spanishgas.stages.catalog"})
    heavy = {
        "catboost",
        "evidently",
        "lightgbm",
        "matplotlib",
        "mlflow",
        "mlserver",
        "obstore",
        "pandera",
        "shap",
        "sklearn",
        "streamlit",
        "xgboost",
    }
    code = (
        f"import importlib, sys\nfor name in {names}: importlib.import_module(name)\n"
        f"print(*sorted({heavy} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""


def test_every_entry_point_has_a_module_and_every_module_an_entry_point() -> None:
    import yaml

    project = yaml.safe_load((ROOT / "MLproject").read_text())
    called = {name: point["command"].split()[2] for name, point in project["entry_points"].items()}
    assert called.pop("main") == "pipelines.run_pipeline"
    # What is asked of one customer is no entry point: see tests/pipelines/test_launched.py.
    modules = {path.stem for path in (ROOT / "pipelines").glob("[!_]*.py")} - {
        "run_pipeline",
        "explain_customer",
        "lineage",
    }
    assert called == {name: f"pipelines.{name}" for name in modules}


def test_public_names_are_documented() -> None:
    """The linter checks the form of docstrings; this checks that no module goes without one."""
    bare = [
        str(file.relative_to(ROOT))
        for package in ("spanishgas", "pipelines")
        for file in (ROOT / package).rglob("*.py")
        if ast.get_docstring(ast.parse(file.read_text())) is None
    ]
    assert bare == []
