"""The registry for those who only look: what is there is told, and nothing is made."""

from pathlib import Path

import pytest

from spanishgas.config import TrackingSettings
from spanishgas.errors import TrackingError
from spanishgas.registry import Decision, Reader, Tracker
from spanishgas.registry.models import DIGEST_TAG


def test_versions_and_aliases(tracking: TrackingSettings) -> None:
    client = Tracker(tracking).client
    client.create_registered_model("churn")
    for digest in ("a", "b"):
        client.create_model_version("churn", source="file:///nowhere", tags={DIGEST_TAG: digest})
    client.set_registered_model_alias("churn", "champion", "1")
    client.set_registered_model_alias("churn", "baseline", "1")
    newest, oldest = Reader(tracking).versions("churn")
    assert (newest.version.version, newest.version.digest, newest.aliases) == ("2", "b", ())
    assert (oldest.version.version, oldest.aliases) == ("1", ("baseline", "champion"))
    assert newest.created_at.endswith("+00:00")
    assert Reader(tracking).versions("churn-powerco") == []


def test_history_and_files_of_a_run(tracking: TrackingSettings) -> None:
    tracker = Tracker(tracking)
    decision = Decision("churn", "promoted", "done", "2026-02-01T10:00:00+00:00", "ana", "2", "1", "2", "Better.")
    with tracker.run("promote", tags={}) as run:
        run.set_tags(decision.tags)
        run.log_text("<p>ñ</p>", "evidently/drift.html")
    reader = Reader(tracking)
    (found,) = reader.history("churn")
    assert (found.after, found.by, found.run_id) == ("2", "ana", run.id)
    assert reader.files(run.id, "evidently") == ["evidently/drift.html"]
    assert reader.text(run.id, "evidently/drift.html") == "<p>ñ</p>"
    with pytest.raises(TrackingError, match="cannot be read"):
        reader.text(run.id, "nothing.html")
    with pytest.raises(TrackingError, match="cannot be listed"):
        reader.files("0" * 32)


def test_looking_makes_no_store(fresh_tracking: TrackingSettings, tmp_path: Path) -> None:
    reader = Reader(fresh_tracking)
    assert not reader.exists
    with pytest.raises(TrackingError, match="there is no tracking store"):
        reader.versions("churn")
    assert not (tmp_path / "mlflow.db").exists()
