"""Names of columns: words, abbreviations, and what they are of a contract."""

import pytest

from spanishgas.contracts import SOURCES
from spanishgas.onboarding.words import HINT, bare_name, fit_of_name, fit_of_phrase, meanings, tokens

CONTRACTS = {contract.name: contract for contract in SOURCES}


def best(source: str, name: str) -> str:
    """The column of a source that a name fits best, alone."""
    told = {
        column.name: fit_of_name(name, column.name, meanings().phrases(source, column.name))
        for column in CONTRACTS[source].columns
    }
    first, second = sorted(told, key=lambda column: -told[column])[:2]
    assert told[first] >= 0.5
    assert told[first] > told[second]
    return first


def means(name: str) -> list[set[str]]:
    return [set(token.means) for token in tokens(name)]


@pytest.mark.parametrize("name", ["fecha_baja", "FechaBaja", "FECHABAJA", "Fecha de baja", "fec.baja", "F_BAJA"])
def test_one_name_in_many_spellings(name: str) -> None:
    assert best("churn_label", name) == "churn_date"


@pytest.mark.parametrize(
    ("source", "name", "column"),
    [
        ("churn_label", "motivo", "reason"),
        ("churn_label", "es_baja", "churn"),
        ("customer_attributes", "pot_contr", "contracted_power_kw"),
        ("customer_attributes", "Potencia (kW)", "contracted_power_kw"),
        ("customer_attributes", "ind_2a_residencia", "is_second_residence"),
        ("customer_attributes", "prov_alta_competencia", "is_high_competition_province"),
        ("customer_attributes", "cod_prov", "province_code"),
        ("customer_attributes", "comunidad_autonoma", "region"),
        ("customer_attributes", "bono_social", "is_vulnerable"),
        ("customer_attributes", "acepta_llamadas", "phone_consent"),
        ("customer_contracts", "FEC_INI_CTO", "contract_start_date"),
        ("customer_contracts", "fecha_alta", "customer_first_activation_date"),
        ("customer_contracts", "fecha_alta_contrato", "contract_start_date"),
        ("customer_contracts", "fin_contrato", "next_renewal_date"),
        ("price_history", "Precio P1 (€/kWh)", "variable_price_tier1_eur_kwh"),
        ("price_history", "precio_llano", "variable_price_tier2_eur_kwh"),
        ("price_history", "cuota_fija_luz_eur_mes", "elec_fixed_fee_eur_month"),
        ("price_history", "Coste fijo gas (€/año)", "gas_fixed_cost_eur_year"),
        ("costs_by_province_month", "peaje", "peaje_elec_eur_kwh"),
        ("consumption_hourly", "cons_gas_m3", "consumption_gas_m3"),
        ("customer_interactions", "interaccion.resumen", "interaction_summary"),
        ("retention_offers", "id_campaña", "campaign_id"),
    ],
)
def test_names_as_retailers_write_them(source: str, name: str, column: str) -> None:
    assert best(source, name) == column


def test_a_unit_is_one_word_in_every_spelling() -> None:
    assert means("consumptionKWh") == means("consumo_kWh") == [{"consumption"}, {"kwh"}]


def test_words_that_nothing_explains_lower_the_fit() -> None:
    phrases = meanings().phrases("customer_attributes", "is_urban")
    assert fit_of_name("urbano", "is_urban", phrases) == 1.0
    assert 0.5 < fit_of_name("urbano_zzz", "is_urban", phrases) < 0.8


def test_a_name_without_a_word_that_is_asked_for_is_a_hint_at_most() -> None:
    assert fit_of_phrase("monthly_elec_fee", "fixed fee elec? month?") == HINT
    assert fit_of_phrase("gas_zzz", "fixed fee elec? month?") == 0.0
    # A date alone is nothing to go by.
    assert fit_of_phrase("fecha", "churn date") == 0.0


def test_the_contract_s_own_name_is_certain() -> None:
    assert fit_of_name("Next Renewal Date", "next_renewal_date", ()) == 1.0
    assert bare_name("Método_obtención") == "metodoobtencion"


def test_the_dictionary_knows_the_contracts() -> None:
    told = meanings()
    assert set(told.sources) == set(CONTRACTS)
    for name, meaning in told.sources.items():
        columns = set(CONTRACTS[name].column_names)
        assert set(meaning.columns) | set(meaning.key) | set(meaning.marks) <= columns, name
        assert {column for pair in told.orders.get(name, ()) for column in pair} <= columns, name
        unnamed = columns - set(meaning.columns) - set(told.everywhere) - {"hour_index"}
        assert unnamed == set(), name
    every = {column.name: column for contract in SOURCES for column in contract.columns}
    for column, words in told.codes.items():
        domains = {
            code for contract in SOURCES for one in contract.columns if one.name == column for code in one.domain or ()
        }
        assert set(words) <= (domains or {"true", "false"}), column
        assert column in every or column == "flag"
