"""The risk list: who is in it, what filters leave, in which order, and that the file holds what is shown."""

import io
from pathlib import Path

import pandas as pd
import pytest

from spanishgas.dashboard.data import Published
from spanishgas.dashboard.risk_list import risk_list
from spanishgas.dashboard.settings import DashboardSettings
from spanishgas.dashboard.view import View
from spanishgas.dashboard.views import at_risk
from spanishgas.dashboard.views.at_risk import Filters, as_shown, chosen, columns_of
from tests.dashboard import worlds
from tests.dashboard.conftest import Opened, sound


def view_of(root: Path, language: str = "en") -> View:
    settings = DashboardSettings(data_root=root)
    return View(settings, Published(root), language, worlds.NEWEST)  # type: ignore[arg-type]


@pytest.fixture
def listed(shop: Path) -> pd.DataFrame:
    return risk_list(view_of(shop / "data"))[0]


def published(shop: Path, table: str) -> pd.DataFrame:
    (file,) = (shop / "data" / "gold" / table / f"run_date={worlds.NEWEST}").glob("*.parquet")
    return pd.read_parquet(file, partitioning=None)


def test_everybody_is_there_once_the_riskiest_first(listed: pd.DataFrame, shop: Path) -> None:
    table = published(shop, "recommendations")
    wanted = table.sort_values(["risk_score", "customer_id"], ascending=[False, True])
    assert listed["customer_id"].tolist() == wanted["customer_id"].tolist()
    assert listed["risk"].tolist() == wanted["risk_score"].tolist()
    assert listed["rank"].tolist() == list(range(1, len(table) + 1))
    assert listed["expected_margin_impact"].tolist() == wanted["expected_margin_impact"].tolist()


def test_names_are_in_the_language_of_the_reader(shop: Path) -> None:
    listed = risk_list(view_of(shop / "data", "es"))[0]
    assert set(listed["segment_label"]) == {"Hogares, consumo bajo", "Empresas", ""}
    assert set(listed["province"]) == {"Barcelona", "Madrid", "Sevilla", "Valencia/València"}
    assert {"Sin oferta", "Oferta grande"} <= set(listed["action_label"])
    assert set(listed["risk_bucket_label"]) == {"Alto", "Medio", "Bajo"}


def test_a_province_is_that_of_the_customer(listed: pd.DataFrame, shop: Path) -> None:
    (file,) = (shop / "data" / "silver" / "customers").glob("*.parquet")
    codes = pd.read_parquet(file).set_index("customer_id")["province_code"]
    names = {"08": "Barcelona", "28": "Madrid", "41": "Sevilla", "46": "Valencia/València"}
    assert listed["province"].tolist() == [names[codes[one]] for one in listed["customer_id"]]


FILTERS = {
    "segment": (Filters(segments=["Businesses"]), lambda row: row["segment"] == "S2"),
    "no segment": (Filters(provinces=["Madrid", "Sevilla"]), lambda row: row["province"] in ("Madrid", "Sevilla")),
    "action": (Filters(actions=["Large offer"]), lambda row: row["action"] == "large"),
    "window": (Filters(windows=["Next 30 days"]), lambda row: row["timing_window"] == "immediate"),
    "risk": (Filters(risk=(0.2, 0.4)), lambda row: 0.2 <= row["risk"] <= 0.4),
    "margin": (Filters(margin_from=10.0, margin_to=20.0), lambda row: 10 <= row["expected_margin_month"] <= 20),
    "id": (Filters(search="c001"), lambda row: "C001" in row["customer_id"]),
    "two": (
        Filters(segments=["Homes, low use"], margin_from=15.0),
        lambda row: row["segment"] == "S1" and row["expected_margin_month"] >= 15,
    ),
}


@pytest.mark.parametrize("name", FILTERS)
def test_filters_leave_exactly_who_passes(listed: pd.DataFrame, name: str) -> None:
    filters, passes = FILTERS[name]
    wanted = [row["customer_id"] for _, row in listed.iterrows() if passes(row)]
    assert 0 < len(wanted) < len(listed)
    assert chosen(listed, filters)["customer_id"].tolist() == wanted


def test_without_filters_nobody_is_left_out(listed: pd.DataFrame) -> None:
    assert listed["expected_margin_month"].isna().any()  # a margin that is not known is no reason
    pd.testing.assert_frame_equal(chosen(listed, Filters()), listed)


def test_the_page_shows_what_the_filters_leave_and_the_file_holds_it(opened: Opened, shop: Path) -> None:
    test = opened("at_risk", language="es")
    sound(test)
    test.multiselect(key="segment_es").set_value(["Empresas"])
    test.selectbox(key="order").set_value("expected_margin_month")
    test.segmented_control(key="way").set_value("up").run()
    sound(test)
    (shown,) = [one.value for one in test.dataframe]
    view = view_of(shop / "data", "es")
    listed = risk_list(view)[0]
    wanted = listed[listed["segment"] == "S2"].sort_values("expected_margin_month", kind="stable")
    assert shown["Cliente"].tolist() == wanted["customer_id"].tolist()
    assert shown["Margen/mes"].tolist() == pytest.approx(wanted["expected_margin_month"].round(2).tolist(), nan_ok=True)
    assert list(shown.columns) == list(columns_of(view).values())
    file = pd.read_csv(io.BytesIO(view.fmt.csv(as_shown(view, wanted))), sep=";", decimal=",", keep_default_na=True)
    pd.testing.assert_frame_equal(
        file.fillna(""), shown.reset_index(drop=True).fillna(""), check_dtype=False, check_exact=False
    )


def test_a_long_list_begins_with_its_first_rows_and_shows_all_if_asked(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(at_risk, "LISTED", 20)
    test = opened("at_risk")
    sound(test)
    first = test.dataframe[0].value["Customer"].tolist()
    assert len(first) == 20
    assert any("The first 20 are listed; the file holds all" in one.value for one in test.caption)
    test.toggle(key="list_all").set_value(True).run()
    sound(test)
    whole = test.dataframe[0].value["Customer"].tolist()
    assert len(whole) > 20
    assert whole[:20] == first
    assert not any("are listed" in one.value for one in test.caption)


def test_filters_stay_when_another_page_was_looked_at(opened: Opened) -> None:
    test = opened("at_risk")
    test.slider(key="risk").set_value((30, 100)).run()
    shown = len(test.dataframe[0].value)
    assert 0 < shown < 90
    assert test.slider(key="risk").value == (30, 100)


def test_nobody_passing_is_told(opened: Opened) -> None:
    test = opened("at_risk")
    test.text_input(key="search").set_value("nobody").run()
    sound(test)
    assert [one.value for one in test.info] == ["No customer passes these filters."]
    assert not test.dataframe


def test_scores_alone_make_a_list(opened: Opened, copied: Path) -> None:
    for file in (copied / "gold" / "_meta" / "recommendations").glob("*.json"):
        file.unlink()
    test = opened("at_risk", root=copied)
    sound(test)
    assert any("pipelines.recommend run_date=2026-02-09" in one.value for one in test.code)
    assert len(test.dataframe[0].value) == 90
    scores = published(copied.parent, "scoring")
    assert test.dataframe[0].value["Risk"].tolist() == scores["risk"].sort_values(ascending=False).round(3).tolist()
