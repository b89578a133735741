"""Plain words for what drives a segment: what a low and a high value of a feature mean, in Spanish and English."""

from typing import NamedTuple


class Words(NamedTuple):
    """Names of the two ends of a feature.

    Attributes:
        low_en: A low value, in English.
        high_en: A high value, in English.
        low_es: A low value, in Spanish.
        high_es: A high value, in Spanish.
    """

    low_en: str
    high_en: str
    low_es: str
    high_es: str


WORDS: dict[str, Words] = {
    "elec_kwh_365d": Words("low consumption", "high consumption", "consumo bajo", "consumo alto"),
    "contracted_power_kw": Words("low power", "high power", "potencia baja", "potencia alta"),
    "elec_volatility_365d": Words("steady use", "uneven use", "consumo estable", "consumo irregular"),
    "load_factor_365d": Words("peaky use", "flat use", "consumo con picos", "consumo plano"),
    "gas_kwh_365d": Words("little gas", "much gas", "poco gas", "mucho gas"),
    "price_over_peers": Words("good price", "dear price", "precio bueno", "precio caro"),
    "price_changes_365d": Words("fixed price", "indexed price", "precio fijo", "precio indexado"),
    "tenure_days": Words("new customers", "long-standing", "clientes nuevos", "clientes veteranos"),
    "interactions_365d": Words("rarely in touch", "often in touch", "contacto escaso", "contacto frecuente"),
    "interactions_pricing_365d": Words(
        "never ask about prices", "ask about prices", "no preguntan precios", "preguntan precios"
    ),
    "is_business": Words("households", "businesses", "hogares", "empresas"),
    "is_second_home": Words("main homes", "second homes", "viviendas habituales", "segundas residencias"),
    "has_gas": Words("electricity only", "with gas", "solo electricidad", "con gas"),
}


def words_of(feature: str) -> Words:
    """The words of a feature; a made-up pair for one that has none yet."""
    plain = feature.replace("_", " ")
    return WORDS.get(feature, Words(f"low {plain}", f"high {plain}", f"{plain} bajo", f"{plain} alto"))
