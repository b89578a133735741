"""Models as files: equal to the last bit, and nothing is read that is not known."""

import json
from pathlib import Path

import numpy as np
import pytest

from spanishgas.errors import ModelFileError
from spanishgas.models import MODELS, ChurnModel
from spanishgas.models.files import CARD, digest_of
from tests.models.worlds import WINDOWS, fitted, world


@pytest.fixture(params=sorted(MODELS))
def saved(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[ChurnModel, Path]:
    model, _ = fitted(request.param)
    whole = ChurnModel(request.param, model, WINDOWS, {"rows_train": 6000})
    whole.save(tmp_path / "model")
    return whole, tmp_path / "model"


def test_a_model_comes_back_bit_equal(saved: tuple[ChurnModel, Path]) -> None:
    model, folder = saved
    features, _, _, _ = world(400, seed=11)
    back = ChurnModel.load(folder)
    np.testing.assert_array_equal(back.predict(features).to_numpy(), model.predict(features).to_numpy())
    assert back.facts == {"rows_train": 6000}
    assert list(back.predict(features).columns) == ["risk", "hazard_0_30", "hazard_30_60", "hazard_60_90"]
    added, _ = model.model.contributions(features)
    again, _ = back.model.contributions(features)
    np.testing.assert_array_equal(added.to_numpy(), again.to_numpy())


def test_no_file_is_a_pickle_and_equal_models_have_equal_digests(
    saved: tuple[ChurnModel, Path], tmp_path: Path
) -> None:
    _, folder = saved
    assert {file.suffix for file in folder.iterdir()} <= {".json", ".ubj"}
    ChurnModel.load(folder).save(tmp_path / "again")
    assert digest_of(tmp_path / "again") == digest_of(folder)
    (folder / CARD).write_text((folder / CARD).read_text() + " ")
    assert digest_of(tmp_path / "again") != digest_of(folder)


@pytest.mark.parametrize(
    ("change", "told"),
    [({"kind": "pickle"}, "of kind 'pickle'"), ({"format": 99}, "in format 99"), ({"state": {}}, "cannot be read")],
)
def test_what_is_not_known_is_refused(saved: tuple[ChurnModel, Path], change: dict[str, object], told: str) -> None:
    _, folder = saved
    card = json.loads((folder / CARD).read_text())
    (folder / CARD).write_text(json.dumps({**card, **change}))
    with pytest.raises(ModelFileError, match=told):
        ChurnModel.load(folder)


def test_missing_and_damaged_files_are_told(saved: tuple[ChurnModel, Path], tmp_path: Path) -> None:
    _, folder = saved
    with pytest.raises(ModelFileError, match="there is no"):
        ChurnModel.load(tmp_path)
    (folder / CARD).write_text("{")
    with pytest.raises(ModelFileError, match="damaged"):
        ChurnModel.load(folder)
