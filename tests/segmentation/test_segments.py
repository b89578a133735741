"""Segments: found where they are, described, and kept from one refresh to the next."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score

from spanishgas.config import SegmentationSettings
from spanishgas.errors import ContractError
from spanishgas.segmentation import SegmentModel, refresh
from spanishgas.segmentation.profiles import name_segments, profile
from spanishgas.segmentation.words import WORDS

FEATURES = ("elec_kwh_365d", "price_over_peers", "tenure_days", "is_business", "gas_kwh_365d")
SETTINGS = SegmentationSettings(features=FEATURES, stability_draws=3, candidates=(3, 4, 5))


def customers(rows: int = 1600, seed: int = 0, drift: float = 0.0) -> tuple[pd.DataFrame, np.ndarray]:
    """Four planted kinds of customers, and which kind each is."""
    rng = np.random.default_rng(seed)
    kind = np.arange(rows) % 4
    middle = {
        "elec_kwh_365d": np.array([7.0, 7.2, 9.5, 8.0])[kind],
        "price_over_peers": np.array([-0.2, 0.3, 0.0, 0.0])[kind],
        "tenure_days": np.array([6.0, 6.2, 7.5, 4.0])[kind],
    }
    noise = np.random.default_rng(1).normal(size=(rows, 3))
    table = pd.DataFrame(
        {
            "customer_id": [f"C{number}" for number in range(rows)],
            "as_of": pd.Timestamp("2026-01-31"),
            "elec_kwh_365d": np.exp(middle["elec_kwh_365d"] + 0.15 * noise[:, 0] + drift * rng.normal(size=rows)),
            "price_over_peers": middle["price_over_peers"] + 0.04 * noise[:, 1] + drift * 0.2 * rng.normal(size=rows),
            "tenure_days": np.exp(middle["tenure_days"] + 0.2 * noise[:, 2]),
            "is_business": kind == 2,
            "gas_kwh_365d": np.nan,
            "margin_eur_month_12m": 5.0 + 10.0 * kind,
        }
    )
    table.loc[rng.uniform(size=rows) < 0.03, "price_over_peers"] = np.nan
    return table, kind


def test_planted_segments_are_found_and_their_number_chosen() -> None:
    table, kind = customers()
    found = refresh(table, SETTINGS, previous=None, before=None, past=None)
    assert len(found.model.ids) == 4
    assert adjusted_rand_score(kind, found.assigned["segment_id"]) > 0.95
    assert found.metrics["smallest_share"] > 0.05
    assert found.metrics["stability"] > 0.9
    assert found.model.left_out == ("gas_kwh_365d",)
    assert "gas_kwh_365d" in found.report


def test_the_number_can_be_set() -> None:
    table, _ = customers()
    found = refresh(table, SETTINGS.model_copy(update={"count": 3}), previous=None, before=None, past=None)
    assert len(found.model.ids) == 3


def test_a_refresh_keeps_identities_whatever_the_start() -> None:
    table, kind = customers()
    first = refresh(table, SETTINGS, previous=None, before=None, past=None)
    later, _ = customers(seed=7, drift=0.1)
    second = refresh(
        later, SETTINGS.model_copy(update={"seed": 99}), previous=first.model, before=first.assigned, past=None
    )
    assert second.model.ids == first.model.ids
    assert second.model.names_en == first.model.names_en
    assert second.metrics["kept_share"] > 0.97
    assert second.metrics["adjusted_rand_index"] > 0.9
    assert second.metrics["inertia_ratio"] == pytest.approx(1.0, abs=0.05)
    assert adjusted_rand_score(kind, second.assigned["segment_id"]) > 0.9
    assert (second.model.scale, second.model.centre) == (first.model.scale, first.model.centre)


def test_centres_that_come_out_in_another_order_get_their_old_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    import sklearn.cluster

    table, _ = customers()
    first = refresh(table, SETTINGS, previous=None, before=None, past=None)
    plain = sklearn.cluster.KMeans

    class Reversed(plain):  # type: ignore[misc,valid-type]
        def fit(self, *arguments: object) -> "Reversed":
            super().fit(*arguments)
            self.cluster_centers_ = self.cluster_centers_[::-1].copy()
            return self

    monkeypatch.setattr(sklearn.cluster, "KMeans", Reversed)
    again = refresh(table, SETTINGS, previous=first.model, before=first.assigned, past=None)
    assert again.metrics["kept_share"] == 1.0


def test_old_centres_that_no_longer_fit_are_told() -> None:
    table, _ = customers()
    first = refresh(table, SETTINGS, previous=None, before=None, past=None)
    assert "segmentation.restart=true" not in first.report
    # Two old centres on one spot, and a third far from everybody: going on from there ends in a worse grouping.
    stuck = first.model.centres.copy()
    stuck[1] = stuck[0]
    stuck[2] = 50.0
    worn = dataclasses.replace(first.model, centres=stuck)
    second = refresh(table, SETTINGS, previous=worn, before=first.assigned, past=None)
    assert second.metrics["inertia_ratio"] > 1.05
    assert "segmentation.restart=true" in second.report


def test_the_model_survives_json_and_places_customers_alone_as_in_a_batch() -> None:
    table, _ = customers()
    found = refresh(table, SETTINGS, previous=None, before=None, past=None)
    back = SegmentModel.restore(json.loads(json.dumps(found.model.state)))
    assert back.assign(table).tolist() == found.assigned["segment_id"].tolist()
    assert [back.assign(table.iloc[[row]])[0] for row in range(25)] == found.assigned["segment_id"].tolist()[:25]


def test_segments_are_described_in_words_of_their_own_and_with_churn_and_margin() -> None:
    table, kind = customers()
    left = (np.arange(len(table)) % 8 == 1).astype(float)
    found = refresh(table, SETTINGS, previous=None, before=None, past=table.assign(left_horizon=left))
    names = found.summary["name_en"].tolist()
    assert len(set(names)) == len(names)
    assert len(set(found.summary["name_es"])) == len(names)
    assert any("usinesses" in name for name in names)
    by_kind = found.assigned.assign(kind=kind).groupby("segment_id")["kind"].agg(lambda kinds: kinds.mode()[0])
    for row in found.summary.to_dict("records"):
        planted = by_kind[row["segment_id"]]
        assert row["margin_eur_month"] == pytest.approx(5.0 + 10.0 * planted, abs=1.0)
        assert row["churn_rate"] == pytest.approx(0.5 if planted == 1 else 0.0, abs=0.05)
    assert found.summary["share"].sum() == pytest.approx(1.0)


def test_without_past_rows_the_churn_rate_is_unknown() -> None:
    table, _ = customers()
    found = refresh(table, SETTINGS, previous=None, before=None, past=None)
    assert found.summary["churn_rate"].isna().all()
    assert "unknown" in found.report


def test_segments_that_cannot_be_large_enough_are_told() -> None:
    table, _ = customers()
    narrow = SETTINGS.model_copy(update={"min_share": 0.45, "candidates": (4,)})
    assert "smaller than 45%" in refresh(table, narrow, previous=None, before=None, past=None).report


def test_names_grow_until_they_tell_segments_apart() -> None:
    table, _ = customers()
    found = refresh(table, SETTINGS.model_copy(update={"count": 8}), previous=None, before=None, past=None)
    assert len(set(found.model.names_en)) == 8
    profiles = profile(found.model, table, found.assigned["segment_id"].to_numpy(dtype=object))
    assert name_segments(found.model, profiles).names_en == found.model.names_en


def test_bad_input_is_told() -> None:
    table, _ = customers(40)
    with pytest.raises(ContractError, match="price_over_peers"):
        refresh(table.drop(columns="price_over_peers"), SETTINGS, previous=None, before=None, past=None)
    with pytest.raises(ContractError, match="fewer than 5 segments"):
        refresh(table.head(4), SETTINGS, previous=None, before=None, past=None)
    with pytest.raises(ContractError, match="values that differ"):
        refresh(table.assign(**dict.fromkeys(FEATURES, 1.0)), SETTINGS, previous=None, before=None, past=None)


def test_every_configured_feature_has_words() -> None:
    from pipelines._entry import load_settings

    assert set(load_settings(()).segmentation.features) <= set(WORDS)
