"""Proposals for small folders: sources, several of them in one file, supply points, and what is asked."""

from datetime import date
from typing import Any

from pipelines._entry import CONF
from spanishgas.onboarding import Looked, Proposal, load_layouts, propose
from spanishgas.onboarding.looking import Group
from tests.onboarding.frames import group

LAYOUTS = load_layouts([CONF / "layouts"])
IDS = [f"C{number:05d}" for number in range(30)]
CUPS = [f"ES00314050000000{number:02d}AB" for number in range(30)]
DAYS = [f"2024-05-{number + 1:02d}" for number in range(30)]


def proposed(*groups: Group, run_date: date | None = None) -> Proposal:
    return propose("mine", Looked(list(groups)), LAYOUTS, run_date)


def lines(proposal: Proposal, source: str) -> dict[str, Any]:
    (part,) = proposal.sources[source].parts
    return {
        line.column: line.mapping
        for line in part.lines.values()
        if line.question is None and "absent" not in line.mapping
    }


def customers(**further: list[Any]) -> Group:
    told = {"potencia_kw": [4.6, 3.45] * 15, "provincia": ["28", "08"] * 15, "canal_venta": ["oficina"] * 30}
    return group("clientes.csv", cod_cliente=IDS, **told, **further)


def prices(file: str = "precios.csv", ids: list[str] = IDS, day: str = "2024-05-01") -> Group:
    tiers = {"precio_punta": [0.2] * 30, "precio_llano": [0.15] * 30, "precio_valle": [0.1] * 30}
    return group(file, cod_cliente=ids, fecha=[day] * 30, **tiers)


def readings(ids: list[str]) -> Group:
    hours = [f"{hour:02d}:00" for hour in range(1, 25)]
    count = len(hours)
    return group(
        "curva.csv",
        cups=[one for one in ids for _ in hours],
        fecha=["2024/05/01"] * (count * len(ids)),
        hora=hours * len(ids),
        consumo_kWh=["0,431"] * (count * len(ids)),
        metodoObtencion=["Real"] * (count * len(ids)),
    )


def test_one_file_feeds_several_sources() -> None:
    told = proposed(
        customers(
            fecha_alta=DAYS, fecha_inicio_contrato=DAYS, fecha_fin_contrato=["2025-05-01"] * 30, baja=["S", "N"] * 15
        )
    )
    assert lines(told, "customer_attributes")["contracted_power_kw"] == {"column": "potencia_kw"}
    assert lines(told, "customer_contracts")["next_renewal_date"] == {"column": "fecha_fin_contrato"}
    assert lines(told, "churn_label")["churn"] == {"column": "baja"}
    assert told.sources["price_history"].absent == "no file of the folder looks like it"
    assert told.options == {"labels": "snapshot", "evaluation": "snapshot"}


def test_a_source_that_no_file_looks_like_is_absent_and_asked_for() -> None:
    told = proposed(readings(CUPS[:2]))
    assert told.blocking() == []
    assert any("no file looks like churn label" in question for question in told.open())
    assert told.sources["retention_offers"].absent is None  # optional: nothing needs to be said


def test_datadis_s_customers_are_its_supply_points_unless_another_file_tells() -> None:
    alone = proposed(readings(CUPS[:2]))
    assert lines(alone, "consumption_hourly")["customer_id"] == {"column": "cups"}
    assert alone.sources["consumption_hourly"].settings == {"stamp": "end"}
    held = proposed(readings(CUPS[:2]), customers(cups=CUPS))
    (part,) = held.sources["consumption_hourly"].parts
    assert part.lines["customer_id"].mapping == {"absent": "told by supply_points"}
    assert part.lines["supply_point_id"].mapping == {"column": "cups"}
    assert lines(held, "supply_points") == {
        "supply_point_id": {"column": "cups"},
        "customer_id": {"column": "cod_cliente"},
    }


def test_one_supply_point_in_half_hours_with_an_offset() -> None:
    stamps = [f"2024-05-01T{half // 2:02d}:{half % 2 * 30:02d}:00+02:00" for half in range(48)] * 2
    stamps = [text.replace("05-01", "05-02") if place >= 48 else text for place, text in enumerate(stamps)]
    told = proposed(group("medidas.csv", punto=["P1"] * 96, instante=stamps, energia_wh=[215.5] * 96))
    assert told.blocking() == []
    assert told.sources["consumption_hourly"].settings == {"interval_minutes": 30}
    assert lines(told, "consumption_hourly") == {
        "customer_id": {"column": "punto"},
        "timestamp": {"column": "instante"},
        "consumption_elec_kwh": {"column": "energia_wh", "factor": 0.001},
    }


def test_files_that_go_on_where_others_end_are_parts_and_copies_are_a_question() -> None:
    after = group("otros.csv", cli=IDS, mes=["2024-06-01"] * 30, p1=[0.2] * 30, p2=[0.15] * 30, p3=[0.1] * 30)
    told = proposed(prices(), after)
    assert [part.question for part in told.sources["price_history"].parts] == [None, None]
    copy = group("copia.csv", cli=IDS, mes=["2024-05-01"] * 30, p1=[0.2] * 30, p2=[0.15] * 30, p3=[0.1] * 30)
    doubtful = proposed(prices(), copy)
    first, second = doubtful.sources["price_history"].parts
    # The one whose name says so is taken; the other stands beside it as a comment.
    assert first.question is None
    assert "precios.csv or copia.csv" in str(second.question)
    unnamed = proposed(prices("a.csv"), copy)
    assert all("a.csv" in str(part.question) for part in unnamed.sources["price_history"].parts)
    assert any("copia.csv" in question for question in doubtful.blocking())


def test_an_unsure_column_that_is_required_blocks_and_another_does_not() -> None:
    wrong = proposed(
        group("c.csv", cod_cliente=IDS, fecha_inicio=DAYS, inicio_contrato=DAYS, fin_contrato=["2025-05-01"] * 30)
    )
    assert any("contract_start_date" in question for question in wrong.blocking())
    fine = proposed(customers(consentimiento_llamadas=["q", "w"] * 15))
    assert fine.blocking() == []
    assert any("phone_consent" in question or "consentimiento_llamadas" in question for question in fine.open())


def test_a_column_that_no_name_tells_is_asked_about_where_its_values_fit() -> None:
    told = proposed(group("bajas.csv", cod_cliente=IDS, baja=[0, 1] * 15, zzz=DAYS))
    assert any("`zzz`" in question and "churn_date" in question for question in told.open())


def test_the_dates_are_those_of_the_newest_reading_or_as_somebody_says() -> None:
    assert proposed(readings(CUPS[:2])).dates == {"run_date": date(2024, 5, 2), "as_of": date(2024, 4, 30)}
    assert proposed(readings(CUPS[:2]), run_date=date(2024, 6, 9)).dates["as_of"] == date(2024, 5, 31)


def test_hashes_that_differ_in_case_alone_are_left_as_they_are() -> None:
    hashes = [f"{number:02d}abcdefabcdefabcdef" for number in range(15)]
    told = proposed(prices(ids=hashes + [one.upper() for one in hashes]))
    assert told.sources["price_history"].parts[0].settings["identifiers"] == "as_written"
    short = proposed(prices(ids=[f"c{number}" for number in range(15)] + [f"C{number}" for number in range(15)]))
    assert "identifiers" not in short.sources["price_history"].parts[0].settings
    assert any("one customer" in question for question in short.open())


def test_readings_that_stand_in_two_files_are_a_remark_and_copies_of_a_known_layout_a_question() -> None:
    again = readings(CUPS[:2])
    names = {"fecha": "date", "hora": "time", "consumo_kWh": "consumptionKWh", "metodoObtencion": "obtainMethod"}
    columns = {names.get(name, name): list(facts.values) for name, facts in again.columns.items()}
    other = group("again.json", **columns)
    told = proposed(again, other)
    assert told.blocking() == []
    assert len(told.sources["consumption_hourly"].parts) == 2
    assert any("counted once" in question for question in told.open())
    rows: dict[str, list[Any]] = {"customer_id": IDS, "churn": [0] * 30, "churn_date": DAYS, "reason": ["switch"] * 30}
    twice = proposed(group("a.csv", **rows), group("b.csv", **rows))
    assert any("a.csv or b.csv" in question for question in twice.blocking())
