"""Stores that earlier releases published open with this one: they are read and scored, or say what to run again."""

from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest

from spanishgas.contracts import ALL_CONTRACTS
from spanishgas.engine.store import TableStore
from spanishgas.errors import ContractError
from spanishgas.registry import CHAMPION, Tracker
from spanishgas.stages import score
from spanishgas.stages.backup import restore
from spanishgas.stages.churn_models import champion_of, fetch_model
from spanishgas.stages.places import features_at, scores_on
from spanishgas.stages.runner import run_stage
from tests.e2e.worlds import QUIET
from tests.faults.scenes import published, tracking_in
from tests.stores import SETTINGS
from tests.support import quiet, settings_at

STORES = sorted((Path(__file__).resolve().parents[1] / "golden" / "stores").glob("*.tar.zst"))
AS_OF, RUN_DATE = date(2024, 9, 30), date(2024, 10, 9)
BEFORE_DIGESTS = "before-digests"


def name_of(archive: Path) -> str:
    return archive.name.removesuffix(".tar.zst")


def version_now(table: str) -> int:
    """Version of the contract of a table of features, as this release has it."""
    return next((one.version for one in ALL_CONTRACTS if (one.layer, one.name) == ("gold", table)), 0)


def test_there_is_a_store_of_this_release_and_one_from_before_digests() -> None:
    from spanishgas import __version__

    assert {BEFORE_DIGESTS, __version__} <= {name_of(archive) for archive in STORES}
    assert all(archive.stat().st_size < 300_000 for archive in STORES)


@pytest.mark.parametrize("archive", STORES, ids=name_of)
def test_it_opens_is_read_and_scored_or_says_what_to_run_again(
    archive: Path, tmp_path: Path, no_tracking_variables: None
) -> None:
    restore(archive, tmp_path / "there", quiet)
    store, tracking = TableStore(tmp_path / "there" / "data"), tracking_in(tmp_path / "there")
    manifests = published(store)
    assert len(manifests) > 8
    files = [file for one in manifests for table in one.tables.values() for file in table.files]
    assert all((file.digest is None) == (name_of(archive) == BEFORE_DIGESTS) for file in files)
    for manifest in manifests:
        assert store.damaged_files(manifest) == []
        for name, table in manifest.tables.items():
            paths = store.files(manifest, name)
            if paths[0].suffix == ".parquet":
                assert sum(len(pd.read_parquet(path)) for path in paths) == table.rows
    settings = settings_at(store.root, *SETTINGS).model_copy(update={"tracking": tracking})
    features, scores = store.find(features_at(AS_OF)), store.find(scores_on(RUN_DATE))
    assert features is not None
    assert scores is not None
    rows = pd.read_parquet(store.files(features, "customer_features_asof_date")[0]).sort_values("customer_id")
    known = pd.read_parquet(store.files(scores, "scoring")[0]).sort_values("customer_id")
    tracker = Tracker(tracking)
    with tracker.run("look", tags={}) as run, TemporaryDirectory() as folder:
        champion = champion_of(settings, run.models)
        model, _ = fetch_model(run.models, champion, Path(folder))
    assert champion == run.models.with_alias(champion.name, CHAMPION)
    assert np.array_equal(model.predict(rows)["risk"], known["risk"])
    if any(table.contract_version != version_now(name) for name, table in features.tables.items()):
        with pytest.raises(ContractError, match="Run the stages that make them again"):
            run_stage(score.STAGE, settings, tracker, console=QUIET)
        return
    (again,) = run_stage(score.STAGE, settings, tracker, console=QUIET).manifests
    found = pd.read_parquet(store.files(again, "scoring")[0]).sort_values("customer_id")
    assert np.array_equal(found["risk"], known["risk"])
    assert (again.format, again.release != "") == (1, True)
