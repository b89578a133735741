"""What answers is kept, whatever is wrong with what comes next; and what failed is tried again."""

import logging
from pathlib import Path
from types import SimpleNamespace

import pytest
from prometheus_client import CollectorRegistry

from spanishgas.errors import PublishError
from spanishgas.serving import holder as module
from spanishgas.serving.holder import BundleHolder
from spanishgas.serving.observability import Observer


@pytest.mark.parametrize("error", [PublishError("damaged"), TypeError("of tomorrow"), RecursionError(), MemoryError()])
def test_a_bundle_that_cannot_be_loaded_is_left_out_told_once_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    file, registry = tmp_path / "current.json", CollectorRegistry()
    observer = Observer(tmp_path, registry=registry)
    monkeypatch.setattr(observer, "swapped", lambda *_: None)
    monkeypatch.setattr(module, "Descriptor", SimpleNamespace(read=lambda _: SimpleNamespace(id=file.read_text())))
    wrong = {"new"}

    def load(descriptor: SimpleNamespace) -> SimpleNamespace:
        if descriptor.id in wrong:
            raise error
        return SimpleNamespace(id=descriptor.id)

    monkeypatch.setattr(module, "Bundle", SimpleNamespace(load=load))
    holder = BundleHolder(file, observer)
    file.write_text("old")
    assert holder.look()
    file.write_text("new")
    with caplog.at_level(logging.ERROR):
        assert not holder.look()
        assert not holder.look()  # not before it is due
        monkeypatch.setattr(holder, "_retry_at", 0.0)
        assert not holder.look()
    assert holder.bundle is not None
    assert holder.bundle.id == "old"
    assert registry.get_sample_value("spanishgas_bundles_total", {"outcome": "failed"}) == 2
    assert len(caplog.records) == 1
    wrong.clear()
    monkeypatch.setattr(holder, "_retry_at", 0.0)
    assert holder.look()
    assert holder.bundle.id == "new"
