"""Which raw column is which: sure where it is, a question where two could change places."""

from datetime import date, timedelta
from typing import Any

from spanishgas.contracts import SOURCES
from spanishgas.onboarding.matching import match_columns
from tests.onboarding.frames import facts

CONTRACTS = {contract.name: contract for contract in SOURCES}
IDS = [f"C{number:05d}" for number in range(40)]
DAYS = [(date(2024, 1, 1) + timedelta(days=9 * number)).isoformat() for number in range(40)]
LATER = [(date(2025, 1, 1) + timedelta(days=9 * number)).isoformat() for number in range(40)]


def match(source: str, **columns: list[Any]) -> dict[str, tuple[str, bool]]:
    """Column of the contract -> raw column, and whether it is sure."""
    told = match_columns(CONTRACTS[source], {name: facts(values, name) for name, values in columns.items()})
    return {name: (pair.raw, pair.sure) for name, pair in told.pairs.items()}


def test_all_columns_of_a_price_file_in_any_order() -> None:
    high, middle, low = ([base + number / 1000 for number in range(40)] for base in (0.2, 0.15, 0.11))
    told = match("price_history", valle=low, mes=DAYS, punta=high, cod_cli=IDS, llano=middle)
    assert told == {
        "customer_id": ("cod_cli", True),
        "pricing_date": ("mes", True),
        "variable_price_tier1_eur_kwh": ("punta", True),
        "variable_price_tier2_eur_kwh": ("llano", True),
        "variable_price_tier3_eur_kwh": ("valle", True),
    }


def test_two_names_that_say_the_same_are_a_question() -> None:
    told = match("customer_contracts", id_cliente=IDS, fecha_inicio=DAYS, inicio_contrato=DAYS)
    assert told["customer_id"] == ("id_cliente", True)
    assert not told["contract_start_date"][1]


def test_the_order_of_values_tells_columns_apart_that_names_do_not() -> None:
    told = match("consumption_periods", id=IDS, fecha_a=LATER, fecha_b=DAYS, kwh=[1.5] * 40)
    assert not any(sure for name, (_, sure) in told.items() if name.startswith("period"))
    told = match("customer_contracts", id_cliente=IDS, fecha_inicio=LATER, fecha_fin=DAYS)
    # The name says end, the values say before the beginning.
    assert not told["next_renewal_date"][1]
    assert not told["contract_start_date"][1]


def test_values_that_cannot_be_forbid_what_a_name_says() -> None:
    told = match("churn_label", cliente=IDS, baja=[0, 1] * 20, fecha_baja=["sin dato"] * 40)
    assert "churn_date" not in told
    assert told["churn"] == ("baja", True)


def test_codes_of_the_contract_tell_a_column_without_a_name() -> None:
    told = match(
        "retention_offers", id_cliente=IDS, campana=["K1"] * 40, fecha=DAYS, x=["none", "small", "large", "medium"] * 10
    )
    assert told["action"] == ("x", False)


def test_gas_is_no_electricity() -> None:
    told = match("consumption_hourly", cups=IDS, fecha_hora=[f"{day} 01:00" for day in DAYS], consumo_gas=[0.25] * 40)
    assert told["consumption_gas_m3"] == ("consumo_gas", True)
    assert "consumption_elec_kwh" not in told


def test_identifiers_of_other_files_decide_between_two() -> None:
    columns = {
        "id": facts([f"S{number}" for number in range(40)], "id"),
        "ref": facts(IDS, "ref"),
        "baja": facts([0, 1] * 20, "baja"),
    }
    alone = match_columns(CONTRACTS["churn_label"], columns).pairs["customer_id"]
    linked = match_columns(CONTRACTS["churn_label"], columns, {"ref": 1.0, "id": 0.0}).pairs["customer_id"]
    assert not alone.sure
    assert (linked.raw, linked.sure) == ("ref", True)
