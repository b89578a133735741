"""Formats, units, codes and zeros of mapped columns, and the questions that values leave open."""

from typing import Any

import pytest

from spanishgas.onboarding.proposal import Line, Part
from spanishgas.onboarding.values import definite_day_formats, read_values
from tests.onboarding.frames import facts, group


def read(source: str, column: str, raw: str, values: list[Any], **further: list[Any]) -> tuple[Line, Part]:
    """The line of one column once its values were read."""
    names = {"customer_id": [f"C{number}" for number in range(len(values))], **further}
    held = group("file.csv", **{raw: values, **names})
    part = Part(held, {name: Line(name, {"column": name}) for name in names} | {column: Line(column, {"column": raw})})
    read_values(source, part, definite_day_formats(list(held.columns.values())))
    return part.lines[column], part


@pytest.mark.parametrize(
    ("raw", "values", "factor"),
    [
        ("precio_p1_eur_kwh", [0.14, 0.22], None),
        ("precio_p1_cent_kwh", [14.5, 22.1], 0.01),
        ("precio_p1_eur_mwh", [145.0, 221.0], 0.001),
        ("precio_p1", [0.14, 0.22], None),
    ],
)
def test_a_price_s_unit_by_name_and_size(raw: str, values: list[float], factor: float | None) -> None:
    line, _ = read("price_history", "variable_price_tier1_eur_kwh", raw, values)
    assert line.question is None
    assert line.mapping.get("factor") == factor


@pytest.mark.parametrize(("raw", "values"), [("precio_p1", [14.5, 22.1]), ("precio_p1_cent_kwh", [0.145, 0.221])])
def test_a_unit_that_name_and_size_leave_open_is_a_question(raw: str, values: list[float]) -> None:
    line, _ = read("price_history", "variable_price_tier1_eur_kwh", raw, values)
    assert line.question is not None
    assert f"{values[0]:g} to {values[1]:g} seen" in line.question


def test_gas_per_kwh_becomes_per_cubic_metre_and_a_year_a_month() -> None:
    gas, _ = read("price_history", "gas_variable_price_eur_m3", "precio_gas_eur_kwh", [0.08, 0.09])
    fee, _ = read("price_history", "elec_fixed_fee_eur_month", "cuota_fija_anual", [60.0, 120.0])
    assert (gas.mapping["factor"], fee.mapping["factor"]) == (11.0, 0.0833333333)
    assert (gas.question, fee.question) == (None, None)


def test_decimal_commas_are_said_of_the_part() -> None:
    line, part = read("price_history", "variable_price_tier1_eur_kwh", "p1", ["0,145", "1.234,5"])
    assert part.settings == {"decimal": "comma"}
    line, part = read("customer_attributes", "contracted_power_kw", "potencia", ["1.234", "2.345"])
    assert part.settings == {}
    assert "1.234" in str(line.question)


def test_dates_that_fit_two_formats_are_a_question_unless_others_tell() -> None:
    doubtful = ["03/04/2024", "05/06/2024"]
    line, _ = read("churn_label", "churn_date", "fecha_baja", doubtful)
    assert "%m/%d/%Y" in str(line.question)
    line, _ = read("churn_label", "churn_date", "fecha_baja", doubtful, recorded_at=["31/01/2024", "30/01/2024"])
    assert line.question is None
    assert line.mapping == {"column": "fecha_baja", "date_format": "%d/%m/%Y"}


def test_codes_in_spanish_and_flags() -> None:
    reason, _ = read("churn_label", "reason", "motivo", ["Mudanza", "CAMBIO"])
    assert reason.mapping["codes"] == {"Mudanza": "move_out", "CAMBIO": "switch"}
    plain, _ = read("churn_label", "churn", "baja", ["S", "N"])
    assert "codes" not in plain.mapping  # silver reads it by itself
    state, _ = read("churn_label", "churn", "estado", ["ACTIVO", "BAJA"])
    assert state.mapping["codes"] == {"ACTIVO": "false", "BAJA": "true"}
    province, _ = read("customer_attributes", "province_code", "provincia", ["Madrid", "A Coruña", "28"])
    assert province.mapping["codes"] == {"Madrid": "28", "A Coruña": "15"}


def test_codes_that_no_word_stands_for_are_questions() -> None:
    flag, _ = read("churn_label", "churn", "estado", ["K1", "K2"])
    assert "'K1', 'K2'" in str(flag.question)
    channel, _ = read("customer_interactions", "channel", "canal", ["phone", "email"] * 10 + ["paloma"])
    # One of them is unknown; the column is still right.
    assert channel.question is None
    assert "'paloma'" in channel.open[0]
    action, _ = read("retention_offers", "action", "accion", ["none", "small", "regalo"])
    # Rows of actions outside the contract would be lost.
    assert "'regalo'" in str(action.question)


def test_a_sample_without_estimates_still_knows_their_word() -> None:
    line, _ = read("consumption_hourly", "is_estimated", "metodo", ["Real", "Real"])
    assert line.mapping["codes"]["Estimado"] == line.mapping["codes"]["Estimada"] == "true"
    assert line.mapping["codes"]["Real"] == "false"


@pytest.mark.parametrize(
    ("prices", "zero"),
    [
        ({"A": [0.1, 0.0, 0.1], "B": [0.2, 0.2, 0.2]}, "missing"),  # among other prices of the same customer
        ({"A": [0.0, 0.0, 0.0], "B": [0.2, 0.2, 0.2]}, None),  # a tariff without this period
        ({"A": [0.1, 0.1, 0.1], "B": [0.2, 0.2, 0.2]}, None),
    ],
)
def test_what_a_zero_price_means(prices: dict[str, list[float]], zero: str | None) -> None:
    ids = [customer for customer, values in prices.items() for _ in values]
    line, _ = read(
        "price_history",
        "variable_price_tier1_eur_kwh",
        "p1",
        [value for values in prices.values() for value in values],
        customer_id=ids,
    )
    assert line.mapping.get("zero") == zero
    assert line.question is None


def test_zeros_of_both_kinds_are_a_question() -> None:
    line, _ = read(
        "price_history", "variable_price_tier1_eur_kwh", "p1", [0.1, 0.0, 0.0, 0.0], customer_id=["A", "A", "B", "B"]
    )
    assert "zero" not in line.mapping
    assert "price of zero or a missing price" in line.open[0]


def test_a_format_is_definite_only_without_another() -> None:
    assert definite_day_formats([facts(["31/01/2024"]), facts(["2024/01/31"])]) == {"%d/%m/%Y", "%Y/%m/%d"}
    assert definite_day_formats([facts(["03/04/2024"])]) == set()
