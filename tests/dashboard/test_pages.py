"""Every page with data and without, in both languages, and with any one thing missing."""

import shutil
from datetime import date
from pathlib import Path

import mlflow
import pandas as pd
import pytest

from spanishgas.dashboard.formatting import plain
from spanishgas.dashboard.views import VIEWS
from spanishgas.engine.store import Publication, TableStore
from tests.dashboard import worlds
from tests.dashboard.conftest import Opened, sound, told

PAGES = tuple(entry.name for entry in VIEWS)
NEWEST = worlds.NEWEST


def recommended(root: Path, day: date = NEWEST) -> pd.DataFrame:
    """The recommendations of a run date, as published."""
    (file,) = (root / "gold" / "recommendations" / f"run_date={day}").glob("*.parquet")
    return pd.read_parquet(file, partitioning=None)


def policy_run(root: Path) -> str:
    """The run that the recommendations name."""
    manifest = TableStore(root).find(Publication(layer="gold", name="recommendations", partition=f"run_date={NEWEST}"))
    assert manifest is not None
    return manifest.run_id


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("language", ["en", "es"])
def test_a_page_is_drawn_in_the_language_asked_for(opened: Opened, page: str, language: str) -> None:
    test = opened(page, language=language)
    sound(test)
    (entry,) = (one for one in VIEWS if one.name == page)
    other = {"en": "es", "es": "en"}[language]
    titles = dict(zip(("en", "es"), entry.titles, strict=True))
    text = told(test)
    assert titles[language].lower() in test.title[0].value.lower()
    assert not {titles[other], titles[other] + "s"} & {one.value for one in (*test.title, *test.subheader)}
    assert len(text) > 150


@pytest.mark.parametrize("page", PAGES)
def test_a_page_without_anything_says_what_to_run(opened: Opened, page: str, tmp_path: Path) -> None:
    test = opened(page, root=tmp_path / "nothing", store=f"sqlite:///{tmp_path / 'none.db'}")
    sound(test)
    commands = " ".join(one.value for one in test.code)
    assert "make demo" in commands or "python -m pipelines." in commands
    assert not (tmp_path / "none.db").exists()  # looking makes no store
    assert not (tmp_path / "nothing").exists()


# Publication -> pages that read it.
READERS = {
    "scoring": ("overview", "at_risk", "customer", "segments"),
    "recommendations": ("overview", "at_risk", "customer", "segments", "offers", "lineage"),
    "simulation": ("segments", "offers"),
    "segments": ("at_risk", "customer", "segments", "offers"),
    "features": ("customer",),
    "silver": ("overview", "at_risk", "customer", "lineage"),
    "promotion": ("model",),
    "training_set": ("model",),
    "backtest": ("model",),
}


@pytest.mark.parametrize("name", READERS)
def test_no_page_breaks_when_one_table_is_missing(opened: Opened, copied: Path, name: str) -> None:
    layer = "silver" if name == "silver" else "gold"
    meta = copied / layer / "_meta"
    files = [*meta.glob(f"{name}.json"), *(meta / name).glob("*.json")]
    assert files
    for file in files:
        file.unlink()
    for page in READERS[name]:
        sound(opened(page, root=copied))


@pytest.mark.parametrize("page", PAGES)
def test_no_page_breaks_without_a_registry(opened: Opened, page: str, tmp_path: Path) -> None:
    test = opened(page, store=f"sqlite:///{tmp_path / 'none.db'}")
    assert not test.exception
    if page == "model":
        assert any("no tracking store" in one.value for one in test.warning)


def test_a_damaged_table_is_told_and_the_rest_of_the_page_stands(opened: Opened, copied: Path) -> None:
    for file in (copied / "gold" / "budget_curve" / f"run_date={NEWEST}").glob("*.parquet"):
        file.unlink()
    test = opened("offers", root=copied)
    assert not test.exception
    assert any("files named by the manifest are gone" in one.value for one in test.error)
    assert any(one.label == "Offers" for one in test.metric)


def test_an_unforeseen_error_hides_one_section_only(
    opened: Opened, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("nobody thought of it")

    monkeypatch.setattr("spanishgas.dashboard.views.customer_history.customers.prices", broken)
    test = opened("customer")
    assert not test.exception
    (told_error,) = test.error
    assert "ZeroDivisionError" in told_error.value
    assert "nobody thought of it" in told_error.value
    assert any(one.label == "Risk within 90 days" for one in test.metric)
    assert "a section could not be shown" in caplog.text


def test_the_overview_tells_what_is_published(opened: Opened, shop: Path) -> None:
    test = opened("overview", language="es")
    table = recommended(shop / "data")
    offers = table[table["action"] != "none"]
    figures = {one.label: one.value for one in test.metric}
    assert figures["Clientes en riesgo"] == str((table["risk_bucket"] == "high").sum())
    assert figures["Bajas esperadas en 90 días"] == str(round(table["risk_score"].sum()))
    assert figures["Ofertas"] == str(len(offers)) != "0"
    loss = (table["risk_score"] * table["expected_margin_month"]).sum()
    assert figures["Pérdida mensual esperada"] == f"{round(loss):,}\u00a0€".replace(",", ".")
    assert figures["Gasto esperado"] == f"{round(offers['expected_spend'].sum()):,}\u00a0€".replace(",", ".")
    assert "Campeón **v2**" in told(test)
    before = recommended(shop / "data", worlds.RUN_DATES[-2])
    change = len(offers) - int((before["action"] != "none").sum())
    assert {one.label: one.delta for one in test.metric}["Ofertas"] == (f"{change:+d}" if change else "0")


def test_the_newest_date_is_shown_unless_another_is_chosen(opened: Opened, shop: Path) -> None:
    first = worlds.RUN_DATES[0]
    test = opened("overview")
    assert test.selectbox(key="date").value == NEWEST.isoformat()
    test.selectbox(key="date").set_value(first.isoformat()).run()
    sound(test)
    expected = round(recommended(shop / "data", first)["risk_score"].sum())
    assert {one.label: one.value for one in test.metric}["Expected to leave in 90 days"] == str(expected)
    assert test.query_params["date"] == first.isoformat()
    linked = opened("overview", date=first.isoformat())
    assert linked.selectbox(key="date").value == first.isoformat()


def test_the_language_can_be_switched(opened: Opened) -> None:
    test = opened("offers")
    assert test.title[0].value == "Offers"
    test.segmented_control(key="lang").set_value("es").run()
    sound(test)
    assert test.title[0].value == "Ofertas"
    assert test.query_params["lang"] == "es"


def test_a_champion_that_has_changed_since_is_told(opened: Opened, shop: Path, tmp_path: Path) -> None:
    shutil.copy(shop / "mlflow.db", tmp_path / "mlflow.db")
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    mlflow.MlflowClient(uri, uri).set_registered_model_alias("churn", "champion", "3")
    assert "now it is v3: score again" in told(opened("overview", store=uri))
    assert "score again" not in told(opened("overview"))


def test_the_model_page_tells_versions_gates_and_history(opened: Opened) -> None:
    text = told(opened("model"))
    assert "**v2** | xgboost | :green-badge[Champion]" in text
    assert "**v3** | xgboost | :orange-badge[Challenger]" in text
    assert "**Better than the champion** :gray[failed]" in text
    assert "v3; v2 stays" in text
    assert "v2, the first" in text
    assert "ana" in text
    # The age is that of the youngest row, on the chosen run date.
    assert "| 30 Sep 2025 (132 days), judged as v1 |" in text.replace("\u00a0", " ")
    assert "0.500\u00a0:small[:gray[0.400\u2060–\u20600.600]]" in text


def test_decisions_and_gates_are_told_in_spanish(opened: Opened) -> None:
    text = told(opened("model", language="es"))
    assert "No supera las pruebas." in text
    assert "Supera todas las pruebas que se le aplican." in text
    assert "Ordena mejor que el campeón en al menos una medida, más allá del azar." in text
    assert "Ranks" not in text


@pytest.mark.parametrize("asked", ["C99999", "<b>C0</b>", "![x](http://a.b/c.png)", "*", "%", "../../etc/passwd"])
def test_a_customer_who_does_not_exist_is_told_as_asked_for(opened: Opened, asked: str) -> None:
    test = opened("customer", customer=asked)
    sound(test)
    assert f"**{plain(asked)}** is not among the 90 active customers" in test.warning[0].value
    assert not test.metric


def test_a_date_without_data_in_the_address_is_the_newest(opened: Opened) -> None:
    for asked in ("1999-01-01", "nonsense", "<script>"):
        test = opened("overview", date=asked)
        sound(test)
        assert test.selectbox(key="date").value == NEWEST.isoformat()


def test_a_registry_without_a_champion_is_told(opened: Opened, shop: Path, tmp_path: Path) -> None:
    shutil.copy(shop / "mlflow.db", tmp_path / "mlflow.db")
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    mlflow.MlflowClient(uri, uri).delete_registered_model_alias("churn", "champion")
    test = opened("model", store=uri)
    sound(test)
    assert "There is no champion yet." in [one.value for one in test.warning]
    shutil.copy(tmp_path / "mlflow.db", tmp_path / "gone.db")  # another store, because answers are kept for a while
    gone = f"sqlite:///{tmp_path / 'gone.db'}"
    mlflow.MlflowClient(gone, gone).delete_registered_model("churn")
    assert "No model is registered." in told(opened("model", store=gone))
    for page in PAGES:
        sound(opened(page, store=gone))


def test_tables_that_are_replaced_while_a_page_is_open_are_read_anew(opened: Opened, copied: Path) -> None:
    test = opened("at_risk", root=copied)
    assert "**90** of 90 customers" in told(test)
    shutil.rmtree(copied)
    test.run()
    sound(test)
    assert "make demo" in " ".join(one.value for one in test.code)
    worlds.publish_retailer(copied, customers=40)
    test.run()
    sound(test)
    assert "**40** of 40 customers" in told(test)


def test_segments_are_told_in_plain_words(opened: Opened) -> None:
    test = opened("segments", language="es")
    assert "Hogares, consumo bajo" in told(test)
    test.selectbox(key="profile_of").set_value("S2").run()
    sound(test)
    assert "Se distingue por: empresas y consumo alto." in told(test)


class TestMonitoring:
    def test_states_and_reasons_are_told(self, opened: Opened, copied: Path) -> None:
        worlds.publish_monitoring(copied, worlds.RUN_DATES[-2], state="ok")
        worlds.publish_monitoring(copied, NEWEST, retrain=True, run_id=policy_run(copied))
        test = opened("monitoring", root=copied)
        sound(test)
        text = told(test)
        assert "Train again" in text
        assert "Measured performance is below its floor and the model is old." in text
        assert "132" in text
        figures = {one.label: (one.value, one.delta) for one in test.metric}
        assert figures["Mean risk"] == ("6.1%", "was 5.2%")
        assert figures["Largest shift (PSI)"] == ("0.31", "price_over_peers")
        checks = test.dataframe[0].value
        assert checks["Subject"].tolist() == ["price_over_peers", "gas_kwh_365d", "prices"]  # alarms first
        assert "**0.200 (0.150 to 0.250)**" in text
        assert test.selectbox(key="report").options == [
            f"{one} · 9\u00a0Feb\u00a02026" for one in ("Drift", "Performance")
        ]
        spanish = opened("monitoring", root=copied, language="es")
        assert set(checks["In words"]).isdisjoint(spanish.dataframe[0].value["En palabras"])
        assert spanish.dataframe[1].value["Qué se puede decir"].tolist() == [
            "Demasiado pocos para saberlo: 12 con oferta, 3 en control"
        ]
        overview = told(opened("overview", root=copied, language="es"))
        assert "Volver a entrenar" in overview
        assert "Causas de alarma: 1, en 40 comprobaciones" in overview

    def test_the_newest_one_before_the_date_is_shown(self, opened: Opened, copied: Path) -> None:
        worlds.publish_monitoring(copied, worlds.RUN_DATES[-2], state="ok")
        text = told(opened("monitoring", root=copied))
        assert "No drift" in text
        assert "As of 9 Jan 2026".replace(" 2026", "\u00a02026").replace("9 Jan", "9\u00a0Jan") in text
        before = told(opened("monitoring", root=copied, date=worlds.RUN_DATES[0].isoformat()))
        assert "The model is not monitored yet" in before

    def test_what_is_read_is_what_the_contracts_promise(self, copied: Path) -> None:
        contracts = pytest.importorskip(
            "spanishgas.contracts.monitoring", reason="monitoring is not part of this release"
        )
        from spanishgas.contracts.checks import check_frame

        worlds.publish_monitoring(copied, NEWEST)
        for contract in contracts.MONITORING_TABLES:
            (file,) = (copied / "gold" / contract.name / f"run_date={NEWEST}").glob("*.parquet")
            check_frame(contract, pd.read_parquet(file, partitioning=None))


@pytest.mark.parametrize("language", ["en", "es"])
def test_offers_tell_what_the_period_has_left_and_what_was_measured(opened: Opened, shop: Path, language: str) -> None:
    text = told(opened("offers", language=language)).replace("\u00a0", " ")
    store = TableStore(shop / "data")
    on = f"run_date={NEWEST}"
    found = {}
    for name, table in (("recommendations", "recommendation_limits"), ("measured", "measured_effect")):
        manifest = store.find(Publication(layer="gold", name=name, partition=on))
        assert manifest is not None
        found[table] = pd.read_parquet(store.files(manifest, table)[0], partitioning=None)
    limit = found["recommendation_limits"].set_index("limit").loc["budget"]
    assert 0 < limit["period_left"] < limit["period_bound"]
    whole = found["measured_effect"].query("group == 'all'").set_index("scope").loc["together"]
    assert whole["runs"] == len(worlds.RUN_DATES)
    if language == "en":
        assert f"{round(limit['period_left']):,} left after this one".replace(",", "") in text.replace("€", "")
        assert f"The {len(worlds.RUN_DATES)} runs since" in text
        assert "Margin kept:" in text
    else:
        assert f"Las {len(worlds.RUN_DATES)} fechas desde el" in text
        assert "Margen conservado:" in text
