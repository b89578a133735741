"""The notebook for data scientists, run cell by cell on a small retailer."""

import json
import os
import pickle
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from spanishgas.stages import simulate
from spanishgas.stages.places import features_at, recommended_on
from tests.e2e.worlds import SIZE, WIDE, WORLD, Retailer

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "docs" / "notebooks" / "first_look.ipynb"
AS_OF, RUN_DATE = date(2024, 11, 30), date(2024, 12, 9)
TOLD = ("features", "training", "scores", "reasons", "base", "figures", "curve", "plans")
# The cells as a kernel runs them: one after the other, in one namespace.
KERNEL = """
import json, pickle, sys
space = {"__name__": "__main__"}
for number, text in enumerate(json.load(open(sys.argv[1]))):
    exec(compile(text, f"cell {number}", "exec"), space)
pickle.dump({name: space[name] for name in sys.argv[3:]}, open(sys.argv[2], "wb"))
"""


def cells(project: Path) -> list[str]:
    """The notebook's code; the cell of parameters says where and when this retailer is."""
    code = [cell for cell in json.loads(NOTEBOOK.read_text())["cells"] if cell["cell_type"] == "code"]
    texts = ["".join(cell["source"]) for cell in code]
    (place,) = (number for number, cell in enumerate(code) if "parameters" in cell["metadata"].get("tags", ()))
    more = [*WORLD, *SIZE, *WIDE]
    texts[place] = (
        f"from datetime import date\nfrom pathlib import Path\n"
        f"ROOT, MORE = Path({str(project)!r}), {more!r}\n"
        f"AS_OF, RUN_DATE = {AS_OF!r}, {RUN_DATE!r}\n".replace("datetime.date", "date")
    )
    return texts


@pytest.mark.drill
@pytest.mark.decided
def test_the_notebook_runs_to_its_end_and_leaves_the_plan_as_it_was(retailer: Retailer, tmp_path: Path) -> None:
    retailer.run(simulate.STAGE)
    before = retailer.store.read(recommended_on(RUN_DATE), made_by="recommend").content_hash
    for name in ("conf", "pipelines", "spanishgas"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "requirements.lock", tmp_path)
    (tmp_path / "cells.json").write_text(json.dumps(cells(tmp_path)))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    done = subprocess.run(
        [sys.executable, "-c", KERNEL, "cells.json", "told.pkl", *TOLD],
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert "as published: True" in done.stdout
    told = pickle.loads((tmp_path / "told.pkl").read_bytes())
    manifest = retailer.store.read(features_at(AS_OF), made_by="features")
    assert len(told["features"]) == manifest.tables["customer_features_asof_date"].rows
    # The reasons of the customer add up to the score.
    riskiest = told["scores"].loc[told["scores"]["risk"].idxmax()]
    hazards = riskiest[[name for name in riskiest.index if name.startswith("hazard_")]].astype(float)
    odds = float(np.log(hazards / (1 - hazards)).mean())
    assert told["reasons"]["adds"].sum() + told["base"][0] == pytest.approx(odds, abs=1e-4)
    assert {"logistic"} <= set(told["figures"].columns)
    assert told["figures"].loc[["test_pr_auc", "test_roc_auc"]].notna().all(axis=None)
    # Half the money buys less, within its budget; afterwards all is as it was.
    plans, chosen = told["plans"], told["curve"].set_index("is_chosen").loc[True]
    assert 0 < plans.loc["spend_eur", "half"] <= chosen["budget_eur"] / 2 + 1e-6
    assert plans.loc["margin_eur", "half"] < plans.loc["margin_eur", "as it was"]
    assert retailer.store.read(recommended_on(RUN_DATE), made_by="recommend").content_hash == before
    assert isinstance(told["training"], pd.DataFrame)
