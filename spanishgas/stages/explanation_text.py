"""The explanation for a customer as Markdown, in Spanish and English."""

from collections.abc import Iterator, Mapping
from datetime import date

from spanishgas.policy.reasons import sentences
from spanishgas.stages.explanation import Explanation, Kept, ModelFacts

LANGUAGES = ("es", "en")
# What the tables hold, as a customer would call it.
DATA: Mapping[str, tuple[str, str]] = {
    "customers": (
        "Datos del suministro: provincia, potencia, tipo de cliente, consentimientos",
        "The supply: province, power, kind of customer, consents",
    ),
    "contracts": ("Contratos y sus fechas", "Contracts and their dates"),
    "prices": ("Precios aplicados", "Prices that were charged"),
    "interactions": (
        "Contactos con atención al cliente y las notas sobre ellos",
        "Contacts with customer service, with the notes on them",
    ),
    "consumption_daily": ("Consumo por día, de las lecturas del contador", "Consumption by day, from meter readings"),
    "consumption_periods": ("Consumo por periodos", "Consumption by period"),
    "supply_points": ("Puntos de suministro (CUPS)", "Supply points (CUPS)"),
    "churn_events": ("Si el contrato sigue o cuándo terminó", "Whether the contract goes on, or when it ended"),
    "retention_offers": ("Ofertas hechas en campañas anteriores", "Offers made in earlier campaigns"),
    "customer_extras": ("Otros datos propios de la comercializadora", "Further data of the retailer's own"),
}
DERIVED: Mapping[str, tuple[str, str]] = {
    "features": ("Indicadores calculados con esos datos", "Figures computed from these data"),
    "segments": ("Grupo de clientes parecidos", "Group of similar customers"),
    "scoring": ("Probabilidad estimada de que deje de ser cliente", "Estimated probability of leaving"),
    "recommendations": ("Decisión sobre una oferta", "Decision on an offer"),
}
OFFERS: Mapping[str, tuple[str, str]] = {
    "small": ("un descuento pequeño", "a small discount"),
    "medium": ("un descuento medio", "a medium discount"),
    "large": ("un descuento grande", "a large discount"),
}
WINDOWS: Mapping[str, tuple[str, str]] = {
    "immediate": ("de inmediato", "at once"),
    "30_60": ("entre 30 y 60 días después", "30 to 60 days later"),
    "60_90": ("entre 60 y 90 días después", "60 to 90 days later"),
}
CHANNELS: Mapping[str, tuple[str, str]] = {
    "phone": ("por teléfono", "by phone"),
    "email": ("por correo electrónico", "by e-mail"),
    "letter": ("por carta", "by letter"),
    "sms": ("por SMS", "by text message"),
}
BUCKETS: Mapping[str, tuple[str, str]] = {
    "high": ("alta", "high"),
    "medium": ("media", "medium"),
    "low": ("baja", "low"),
}
RIGHTS: tuple[tuple[str, str], ...] = (
    (
        "Acceder a sus datos y recibir una copia (artículo 15 del RGPD).",
        "Access your data and receive a copy (article 15 GDPR).",
    ),
    ("Corregir los que sean inexactos (artículo 16).", "Have wrong data corrected (article 16)."),
    (
        "Pedir que se borren (artículo 17) o que se limite su uso (artículo 18).",
        "Ask for their erasure (article 17), or that their use be restricted (article 18).",
    ),
    (
        "Recibirlos en un formato que otra empresa pueda leer (artículo 20).",
        "Receive them in a format that another company can read (article 20).",
    ),
    (
        "Oponerse a su uso, y siempre a su uso para ofertas (artículo 21).",
        "Object to their use, and always to their use for offers (article 21).",
    ),
    (
        "Pedir que una persona revise la decisión, dar su punto de vista e impugnarla (artículo 22).",
        "Have a person review the decision, state your view and contest it (article 22).",
    ),
    (
        "Reclamar ante la Agencia Española de Protección de Datos, www.aepd.es.",
        "Complain to the Spanish data protection authority, www.aepd.es.",
    ),
)


def render(explanation: Explanation, language: str, written: date, contact: str = "") -> str:
    """The text for the customer.

    Args:
        explanation: What is published.
        language: ``es`` or ``en``.
        written: Day of the text.
        contact: Whom to write to, as the retailer says it; empty for the address on the bill.
    """
    place = LANGUAGES.index(language)

    def say(spanish: str, english: str) -> str:
        return (spanish, english)[place]

    lines = [
        say("# Sus datos y la decisión sobre ofertas", "# Your data, and the decision on offers"),
        "",
        say(
            f"Cliente {explanation.customer}. Escrito el {_day(written, place)}.",
            f"Customer {explanation.customer}. Written on {_day(written, place)}.",
        ),
        "",
        say("## Qué datos tenemos y desde cuándo", "## Which data we hold, and since when"),
        "",
        say("| datos | registros | de | hasta | conocidos desde |", "| data | records | from | to | known since |"),
        "| --- | ---: | --- | --- | --- |",
        *(_kept_line(one, place) for one in explanation.kept),
        "",
        say(
            f"Proceden de los sistemas de la comercializadora, entregados {_files(explanation.files, place)}el "
            f"{_day(explanation.delivered, place)}. De ellos se ha calculado:",
            f"They come from the retailer's own systems, delivered {_files(explanation.files, place)}on "
            f"{_day(explanation.delivered, place)}. From them was computed:",
        ),
        "",
        *(f"- {DERIVED[name][place]}: {_days(days, place)}." for name, days in explanation.derived.items()),
    ]
    if explanation.learned_from:
        rows = explanation.learned_from
        lines += [
            say(
                f"- Sus datos, con su número de cliente, están en {rows} filas de las que aprende el modelo. El modelo "
                "guarda coeficientes, no datos de personas.",
                f"- Your data, under your customer number, are in {rows} rows that the model learns from. The model "
                "keeps coefficients, no person's data.",
            )
        ]
    lines += ["", say("## La decisión", "## The decision"), "", *_decision(explanation, place), ""]
    if explanation.model is not None:
        lines += [say("## Cómo se decidió", "## How it was decided"), "", *_model(explanation.model, place), ""]
    lines += [
        say("## Sus derechos", "## Your rights"),
        "",
        *(f"- {one[place]}" for one in RIGHTS),
        "",
        say(
            f"Para ejercerlos: {contact or 'escriba a la dirección que figura en su factura'}.",
            f"To exercise them: {contact or 'write to the address on your bill'}.",
        ),
        "",
    ]
    if explanation.run_id:
        lines += [say("Referencia interna: ", "Our reference: ") + f"{explanation.run_id}.", ""]
    return "\n".join(lines)


def _decision(explanation: Explanation, place: int) -> Iterator[str]:
    row = explanation.decision
    if row is None:
        yield (
            "No hay ninguna decisión sobre usted: no era cliente activo en las fechas para las que se decidió, o no se "
            "ha decidido aún.",
            "There is no decision on you: you were no active customer on the dates that were decided for, or nothing "
            "has been decided yet.",
        )[place]
        return
    day, risk = _day(row["run_date"], place), _percent(row["risk_score"], place)
    bucket = BUCKETS[str(row["risk_bucket"])][place]
    if row["action"] == "none":
        yield (
            f"El {day} se decidió **no hacerle una oferta** para retenerle.",
            f"On {day} it was decided **to make you no offer** to stay.",
        )[place]
    else:
        offer, window = OFFERS[str(row["action"])][place], WINDOWS[str(row["timing_window"])][place]
        channel = CHANNELS[str(row["channel"])][place]
        yield (
            f"El {day} se decidió **ofrecerle {offer}**, {channel}, {window}.",
            f"On {day} it was decided **to offer you {offer}**, {channel}, {window}.",
        )[place]
    yield ""
    yield (
        f"Se estimó en {risk} la probabilidad de que deje de ser cliente en los meses siguientes, una probabilidad "
        f"{bucket} entre todos los clientes, con los datos hasta el {_day(row['as_of'], place)}.",
        f"The probability that you leave within the next months was estimated at {risk}, which is {bucket} among all "
        f"customers, from the data up to {_day(row['as_of'], place)}.",
    )[place]
    if explanation.segment:
        name = explanation.segment[LANGUAGES[place]]
        yield ""
        yield (
            f"Se le agrupó con clientes parecidos: «{name}».",
            f"You were grouped with similar customers: “{name}”.",
        )[place]
    yield ""
    yield ("Lo que más pesó, tal como consta:", "What weighed most, as it is on record:")[place]
    yield ""
    codes = "|".join(dict.fromkeys(filter(None, f"{row['reason_codes']}|{row['veto_codes']}".split("|"))))
    yield from (f"- {one}" for one in sentences(codes, LANGUAGES[place]))


def _model(model: ModelFacts, place: int) -> Iterator[str]:
    yield (
        "La decisión la tomó un programa, con las mismas reglas para todos. Compara lo que se espera que una oferta "
        "conserve con lo que cuesta, dentro de un presupuesto, y respeta su consentimiento y los límites de contacto.",
        "The decision was taken by a program, by the same rules for everybody. It compares what an offer is expected "
        "to keep with what it costs, within a budget, and respects your consent and the limits of contact.",
    )[place]
    yield ""
    if model.registered:
        yield (
            f"El modelo es la versión {model.version}, entrenada y registrada el {_day(model.registered, place)} "
            f"(`{model.digest[:12]}`).",
            f"The model is version {model.version}, trained and registered on {_day(model.registered, place)} "
            f"(`{model.digest[:12]}`).",
        )[place]
    else:
        yield (
            f"El modelo es la versión {model.version} (`{model.digest[:12]}`), que ya no está en el registro.",
            f"The model is version {model.version} (`{model.digest[:12]}`), which is no longer in the registry.",
        )[place]
    if model.decision is not None:
        who, when = model.decision.by, _day(model.decision.when, place)
        yield (
            f"{who} la puso en uso el {when}. Motivo registrado, en inglés: {model.decision.reason}",
            f"{who} put it to use on {when}. Reason on record: {model.decision.reason}",
        )[place]
    for name, value in (model.reviewers or {}).items():
        yield (f"Revisión registrada ({name}): {value}.", f"Review on record ({name}): {value}.")[place]
    if not model.reviewers:
        yield (
            "No consta que una persona haya revisado su caso en particular; puede pedirlo.",
            "It is not on record that a person has reviewed your case in particular; you may ask for it.",
        )[place]


def _kept_line(kept: Kept, place: int) -> str:
    what = DATA[kept.table][place] if kept.table in DATA else f"`{kept.table}`"
    days = (_day(one, place) if one else "–" for one in (kept.first, kept.last, kept.known))
    return f"| {what} | {kept.rows:,} | {' | '.join(days)} |"


def _files(count: int, place: int) -> str:
    return (f"en {count} ficheros ", f"in {count} files ")[place] if count else ""


def _days(days: object, place: int) -> str:
    found = [str(one) for one in days] if isinstance(days, list | tuple) else []
    if len(found) == 1:
        return (f"para el {_day(found[0], place)}", f"for {_day(found[0], place)}")[place]
    first, last = _day(found[0], place), _day(found[-1], place)
    return (
        f"para {len(found)} fechas, del {first} al {last}",
        f"for {len(found)} dates, from {first} to {last}",
    )[place]


def _day(day: object, place: int) -> str:
    """A day as it is written in Spanish (31/12/2024) or, so that nobody mistakes the month, as 2024-12-31."""
    found = date.fromisoformat(str(day)[:10])
    return f"{found:%d/%m/%Y}" if place == 0 else found.isoformat()


def _percent(share: float, place: int) -> str:
    return f"{100 * share:.1f} %".replace(".", ",") if place == 0 else f"{share:.1%}"
