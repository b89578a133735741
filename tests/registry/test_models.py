"""Registered models: one version per digest, aliases, and scores that are equal to the last bit."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
import yaml
from fastapi.testclient import TestClient
from mlflow.pyfunc import scoring_server

from spanishgas.config import TrackingSettings
from spanishgas.errors import ConfigError, ModelFileError
from spanishgas.models import MODELS, ChurnModel
from spanishgas.models.files import LOADER, digest_of
from spanishgas.registry import RunLog
from tests.models.worlds import WINDOWS, world
from tests.registry.worlds import package


@pytest.mark.parametrize("kind", sorted(MODELS))
def test_a_model_scores_bit_equal_from_the_registry(run: RunLog, tmp_path: Path, kind: str) -> None:
    model, packed = package(tmp_path / "files", kind)
    version, made = run.models.ensure(run.id, run.experiment_id, "churn", packed)
    assert (made, version.version, version.digest) == (True, "1", packed.digest)
    features, _, _, _ = world(60, seed=21)
    wanted = model.predict(features).to_numpy()
    back = ChurnModel.load(run.models.fetch(version, tmp_path / "fetched", loader=LOADER, digest=digest_of))
    np.testing.assert_array_equal(back.predict(features).to_numpy(), wanted)
    # Anyone with MLflow alone gets the same numbers, flags and missing values included.
    served = mlflow.pyfunc.load_model(version.uri)
    np.testing.assert_array_equal(served.predict(features.assign(customer_id="C1")).to_numpy(), wanted)
    assert served.metadata.signature is not None
    assert served.metadata.saved_input_example_info is not None


def test_the_logged_model_links_to_its_run_its_version_and_its_rows(
    run: RunLog, tmp_path: Path, tracking: TrackingSettings
) -> None:
    _, packed = package(tmp_path / "files")
    version, _ = run.models.ensure(run.id, run.experiment_id, "churn", packed)
    client = mlflow.MlflowClient(tracking.uri)
    (output,) = client.get_run(run.id).outputs.model_outputs
    assert output.model_id == version.model_id
    logged = client.get_logged_model(version.model_id)
    assert logged.name == "churn-xgboost"
    assert json.loads(logged.tags["mlflow.modelVersions"]) == [{"name": "churn", "version": version.version}]
    (metric,) = logged.metrics
    assert (metric.key, metric.value, metric.run_id) == ("test_pr_auc", 0.5, run.id)
    assert (metric.dataset_name, metric.dataset_digest) == ("gold/rows", "d" * 36)
    # Models are ranked by what was measured on the same rows.
    _, other = package(tmp_path / "other", "logistic")
    better, _ = run.models.ensure(run.id, run.experiment_id, "churn", replace(other, metrics={"test_pr_auc": 0.6}))
    order = {"field_name": "metrics.test_pr_auc", "ascending": False, "dataset_name": "gold/rows"}
    ranked = client.search_logged_models([run.experiment_id], order_by=[{**order, "dataset_digest": "d" * 36}])
    assert [one.model_id for one in ranked] == [better.model_id, version.model_id]


def test_texts_that_are_too_long_are_cut(run: RunLog, tmp_path: Path) -> None:
    _, packed = package(tmp_path / "files")
    long = replace(packed, description="d" * 6000, tags={**packed.tags, "facts": "f" * 6000})
    version, _ = run.models.ensure(run.id, run.experiment_id, "churn", long)
    assert len(version.tags["facts"]) == 5000
    assert len(mlflow.MlflowClient().get_model_version("churn", version.version).description) == 5000


def test_one_digest_is_one_version(run: RunLog, tmp_path: Path) -> None:
    models = run.models
    _, packed = package(tmp_path / "files")
    first, _ = models.ensure(run.id, run.experiment_id, "churn", packed)
    again, made = models.ensure(run.id, run.experiment_id, "churn", packed)
    assert (again.version, made) == (first.version, False)
    _, other = package(tmp_path / "other", "logistic")
    second, made = models.ensure(run.id, run.experiment_id, "churn", other)
    assert (second.version, made) == ("2", True)
    assert models.with_digest("churn", packed.digest) == first
    # The same files under another name are another model's version.
    assert models.with_digest("churn-elsewhere", packed.digest) is None


def test_an_alias_points_where_it_was_last_pointed(run: RunLog, tmp_path: Path) -> None:
    models = run.models
    assert models.with_alias("churn", "challenger") is None
    _, packed = package(tmp_path / "files")
    version, _ = models.ensure(run.id, run.experiment_id, "churn", packed)
    assert models.with_alias("churn", "challenger") is None
    models.point("churn", "challenger", version)
    assert models.with_alias("churn", "challenger") == version


def test_a_version_that_was_deleted_is_registered_again(
    run: RunLog, tmp_path: Path, tracking: TrackingSettings
) -> None:
    _, packed = package(tmp_path / "files")
    version, _ = run.models.ensure(run.id, run.experiment_id, "churn", packed)
    mlflow.MlflowClient(tracking.uri).delete_model_version("churn", version.version)
    again, made = run.models.ensure(run.id, run.experiment_id, "churn", packed)
    assert (again.version, made) == ("2", True)


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (lambda folder: shutil.rmtree(folder), "gone or cannot be read.*Restore the artifacts"),
        (lambda folder: (folder / "MLmodel").unlink(), "there is no MLmodel.*Restore the artifacts"),
        (lambda folder: _flip(next(folder.glob("artifacts/files/*.json"))), "not those that were registered"),
        (lambda folder: next(folder.glob("artifacts/files/*.json")).unlink(), "not those that were registered"),
    ],
)
def test_artifacts_that_were_deleted_or_replaced_are_refused_in_words(
    run: RunLog, tmp_path: Path, harm: Callable[[Path], object], told: str
) -> None:
    _, packed = package(tmp_path / "files")
    version, _ = run.models.ensure(run.id, run.experiment_id, "churn", packed)
    (folder,) = (file.parent for file in tmp_path.rglob("MLmodel"))
    harm(folder)
    with pytest.raises(ModelFileError, match=told):
        run.models.fetch(version, tmp_path / "fetched", loader=LOADER, digest=digest_of)


def test_each_file_of_a_version_that_is_changed_deleted_or_added_is_told_and_code_beside_it_never_runs(
    run: RunLog, tmp_path: Path
) -> None:
    """Trees or coefficients, calibration, categories, the card: one digest covers them all."""
    model, packed = package(tmp_path / "files")
    version, _ = run.models.ensure(run.id, run.experiment_id, "churn", packed)
    (folder,) = (file.parent for file in tmp_path.rglob("MLmodel"))
    files = sorted((folder / "artifacts" / "files").iterdir())
    assert len(files) >= 2
    tried = 0

    def refused() -> None:
        nonlocal tried
        tried += 1
        with pytest.raises(ModelFileError, match="not those that were registered"):
            run.models.fetch(version, tmp_path / f"fetched-{tried}", loader=LOADER, digest=digest_of)

    for file in files:
        whole = file.read_bytes()
        for place in range(0, len(whole), max(1, len(whole) // 7)):
            content = bytearray(whole)
            content[place] ^= 1
            file.write_bytes(bytes(content))
            refused()
        file.unlink()
        refused()
        file.write_bytes(whole)
    (files[0].parent / "more.json").write_text("{}")
    refused()
    (files[0].parent / "more.json").unlink()
    # What nobody reads here: the signature, and the code that travels for notebooks.
    told = yaml.safe_load((folder / "MLmodel").read_text())
    told["signature"]["inputs"] = "[]"
    (folder / "MLmodel").write_text(yaml.safe_dump(told))
    ran = tmp_path / "ran"
    code = [file for file in folder.rglob("*.py") if file.is_file()]
    assert code
    for file in code:
        file.write_text(f"open({str(ran)!r}, 'w').close()\n")
    fetched = run.models.fetch(version, tmp_path / "whole", loader=LOADER, digest=digest_of)
    features, _, _, _ = world(60, seed=21)
    np.testing.assert_array_equal(ChurnModel.load(fetched).predict(features), model.predict(features))
    assert not ran.exists()


def _flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))


def test_models_of_others_are_refused(run: RunLog, tmp_path: Path, tracking: TrackingSettings) -> None:
    class Theirs(mlflow.pyfunc.PythonModel):  # type: ignore[misc, name-defined]
        def predict(self, context: object, model_input: pd.DataFrame, params: object = None) -> pd.DataFrame:
            return model_input

    client = mlflow.MlflowClient(tracking.uri)
    client.create_registered_model("churn")
    mlflow.pyfunc.save_model(str(tmp_path / "theirs"), python_model=Theirs(), pip_requirements=[])
    client.create_model_version("churn", source=str(tmp_path / "theirs"), run_id=run.id)
    client.set_registered_model_alias("churn", "challenger", "1")
    version = run.models.with_alias("churn", "challenger")
    assert version is not None
    with pytest.raises(ModelFileError, match="not a model of this project"):
        run.models.fetch(version, tmp_path / "fetched", loader=LOADER, digest=digest_of)


def test_a_loader_that_is_not_ours_is_never_called(run: RunLog, tmp_path: Path) -> None:
    _, packed = package(tmp_path / "files", loader="os:listdir")
    with pytest.raises(ConfigError, match="no such module"):
        run.models.ensure(run.id, run.experiment_id, "churn", packed)
    _, ours = package(tmp_path / "ours")
    version, _ = run.models.ensure(run.id, run.experiment_id, "churn", ours)
    with pytest.raises(ModelFileError, match="refused"):
        run.models.fetch(version, tmp_path / "fetched", loader="spanishgas.models:other", digest=digest_of)


def test_files_beside_a_version_come_back_whole_and_do_not_make_it_another_model(run: RunLog, tmp_path: Path) -> None:
    _, packed = package(tmp_path / "files")
    bare, _ = run.models.ensure(run.id, run.experiment_id, "churn", packed)
    assert run.models.beside_digest(bare) == ""
    assert run.models.fetch_beside(bare, tmp_path / "none") is None
    beside = tmp_path / "beside"
    beside.mkdir()
    (beside / "baseline.json").write_text("{}")
    # The same model is registered again with what it lacked, once, and the version of before has it too.
    full, made = run.models.ensure(run.id, run.experiment_id, "churn", replace(packed, beside=beside))
    again, made_again = run.models.ensure(run.id, run.experiment_id, "churn", replace(packed, beside=beside))
    assert (made, made_again, again.version) == (True, False, full.version)
    assert (full.digest, full.version == bare.version) == (bare.digest, False)
    assert run.models.beside_digest(bare) == run.models.beside_digest(full) != ""
    found = run.models.fetch_beside(bare, tmp_path / "found")
    assert found is not None
    assert (found / "baseline.json").read_text() == "{}"
    assert (
        ChurnModel.load(run.models.fetch(full, tmp_path / "model", loader=LOADER, digest=digest_of)).kind == "xgboost"
    )
    altered = replace(full, tags={**full.tags, "beside_digest": "0" * 64})
    with pytest.raises(ModelFileError, match="beside the model are not those that were registered"):
        run.models.fetch_beside(altered, tmp_path / "altered")


def test_the_server_of_mlflow_tells_unknown_from_false(run: RunLog, tmp_path: Path) -> None:
    """A missing boolean would be taken for False: flags that were missing in training are not declared as booleans."""
    features, windows, _, _ = world(1500)
    features["business"] = features["business"].astype(object).where(features["noise"] < 0.5, None)
    outcome = np.where(features["business"].isna().to_numpy()[:, None] & np.isfinite(windows), 1.0, windows)
    model = ChurnModel("xgboost", MODELS["xgboost"](rounds=5, min_child_weight=1).fit(features, outcome), WINDOWS)
    _, packed = package(tmp_path / "files", made=(model, features))
    version, _ = run.models.ensure(run.id, run.experiment_id, "churn", packed)
    rows = features.head(40)
    client = TestClient(scoring_server.init(mlflow.pyfunc.load_model(version.uri)))
    told = json.loads(rows.to_json(orient="split", double_precision=15))
    answer = client.post("/invocations", json={"dataframe_split": {key: told[key] for key in ("columns", "data")}})
    assert answer.status_code == 200, answer.text
    found = pd.DataFrame(answer.json()["predictions"])
    np.testing.assert_allclose(found.to_numpy(), model.predict(rows).to_numpy(), rtol=1e-6)
    taken_for_false = rows.assign(business=[flag is True for flag in rows["business"]])
    assert model.predict(rows)["risk"].ne(model.predict(taken_for_false)["risk"]).any()
