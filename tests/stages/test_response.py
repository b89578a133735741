"""Who scores the customers of past campaigns: what has not learned from them, or else the champion itself."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from spanishgas.config import EvaluationSettings, LogisticSettings
from spanishgas.models import ChurnModel
from spanishgas.models.refit import by_halves
from spanishgas.models.training_run import Known, train
from spanishgas.stages import response
from tests.models.worlds import training_table


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return training_table(600)


@pytest.fixture(scope="module")
def champion(table: pd.DataFrame) -> ChurnModel:
    known = Known({}, (), is_temporal=True, horizon_days=90)
    settings = EvaluationSettings(replicates=0, groups=(), explained_rows=20)
    return train(table, LogisticSettings(), settings, known, threads=1).model


def scores(
    champion: ChurnModel, training: pd.DataFrame | None, rows: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> tuple[pd.DataFrame, list[str]]:
    """Scores of rows next to a published training set, and what the stage said meanwhile."""
    said: list[str] = []
    monkeypatch.setattr(response, "read_rows", lambda *_: training)
    workspace: Any = SimpleNamespace(engine=SimpleNamespace(threads=1), store=None, progress=said.append)
    target: Any = SimpleNamespace(manifests={} if training is None else {"training_set": "published"})
    return response._predict(workspace, target, champion)(rows), said


def test_a_customer_is_scored_by_the_half_that_he_is_not_in(
    champion: ChurnModel, table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = table[table["split"] == "test"]
    found, said = scores(champion, table, rows, monkeypatch)
    wanted = by_halves(champion, table, threads=1).predict(rows["customer_id"].tolist(), rows)
    pd.testing.assert_frame_equal(found, wanted)
    assert not np.allclose(found["risk"], champion.predict(rows)["risk"])
    assert said == []


@pytest.mark.parametrize("absent", ["features", "windows", "all"])
def test_the_champion_itself_scores_where_its_recipe_cannot_learn_again(
    absent: str, champion: ChurnModel, table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a training set without the champion's features or windows, or where none is published any more."""
    left = {
        "features": table.drop(columns="price"),
        "windows": table.assign(left_60_90=np.nan, weight_60_90=np.nan),
        "all": None,
    }
    training = left[absent]
    rows = table[table["split"] == "test"]
    found, said = scores(champion, training, rows, monkeypatch)
    pd.testing.assert_frame_equal(found, champion.predict(rows))
    assert [one.startswith("the champion itself scores them: ") for one in said] == [True] * (absent != "all")
    assert all("cannot be refitted" in one for one in said)
