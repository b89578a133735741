"""The figures at the top of the overview, and what they rest on."""

import streamlit as st

from spanishgas.dashboard.data import SILVER
from spanishgas.dashboard.formatting import SPACE, as_day
from spanishgas.dashboard.history import RunFigures
from spanishgas.dashboard.layout import change, figure
from spanishgas.dashboard.view import View
from spanishgas.dashboard.words import RESPONSES


def basis_line(view: View, run: RunFigures) -> None:
    """What the figures rest on: champion, dates, freshness."""
    say, fmt = view.say, view.fmt
    parts = [f":material/trophy: {say('Champion', 'Campeón')} **v{run.model_version}**" + _champion(view, run)]
    if run.as_of:
        age = (run.run_date - as_day(run.as_of)).days
        parts.append(
            f":material/calendar_month: {say('Features of', 'Variables del')} **{fmt.day(run.as_of)}** "
            f"({say(f'{age} days before', f'{age} días antes')})"
        )
    silver = view.published.find(SILVER)
    if silver is not None and silver.tags.get("latest_event"):
        parts.append(
            f":material/database: {say('Data up to', 'Datos hasta')} **{fmt.day(silver.tags['latest_event'])}**"
        )
    parts.append(f":material/schedule: {say('Published', 'Publicado')} **{fmt.moment(run.created_at)}**")
    if run.response:
        parts.append(
            f":material/handshake: {say('Response to offers', 'Respuesta a las ofertas')} "
            f"**{view.word(RESPONSES, run.response)}**"
        )
    # An icon stays with its text where the line breaks.
    st.markdown("&emsp;".join(f":small[{part.replace(': ', f':{SPACE}', 1)}]" for part in parts))


def _champion(view: View, run: RunFigures) -> str:
    """Whether who scored is still champion; nothing where the registry cannot be asked."""
    try:
        now = next((one for one in view.versions() if "champion" in one.aliases), None)
    except Exception:  # the figures stand without it; the page on the model tells what is wrong
        return ""
    if now is None or now.version.version == run.model_version:
        return ""
    return " " + view.say(
        f":orange[(now it is v{now.version.version}: score again)]",
        f":orange[(ahora es v{now.version.version}: vuelva a puntuar)]",
    )


def figure_cards(view: View, runs: list[RunFigures]) -> None:
    """Six figures, how they moved since the run before, and their last values as a small chart."""
    say, fmt = view.say, view.fmt
    now, before = runs[-1], runs[-2] if len(runs) > 1 else None

    def past(name: str) -> list[float] | None:
        told = [value for run in runs if (value := getattr(run, name)) is not None]
        return told if len(told) > 1 else None

    def card(label: str, name: str, value: str, write, *, colour: str, note: str, help_: str) -> None:  # type: ignore[no-untyped-def]
        figure(
            label,
            value,
            delta=change(view, getattr(now, name), getattr(before, name) if before else None, write),
            delta_color=colour,
            delta_description=note,
            chart_data=past(name),
            chart_type="area",
            help=help_,
        )

    def whole(value: float) -> str:
        return fmt.number(value, sign=True)

    def euros(value: float) -> str:
        return fmt.eur(value, sign=True)

    since = "" if before is None else say("since ", "desde ") + fmt.day(before.run_date)
    columns = st.columns(3)
    with columns[0]:
        card(
            say("Customers at risk", "Clientes en riesgo"),
            "high",
            fmt.number(now.high),
            whole,
            colour="inverse",
            note=since,
            help_=say(
                f"Of {fmt.number(now.customers)} active customers, those in the bucket of highest risk.",
                f"De {fmt.number(now.customers)} clientes activos, los del grupo de mayor riesgo.",
            ),
        )
    with columns[1]:
        card(
            say("Expected to leave in 90 days", "Bajas esperadas en 90 días"),
            "expected_leavers",
            fmt.number(now.expected_leavers),
            whole,
            colour="inverse",
            note=since,
            help_=say(
                "Sum of all probabilities of leaving if nothing is done.",
                "Suma de todas las probabilidades de baja si no se hace nada.",
            ),
        )
    with columns[2]:
        card(
            say("Expected loss per month", "Pérdida mensual esperada"),
            "margin_at_risk",
            fmt.eur(now.margin_at_risk),
            euros,
            colour="inverse",
            note=since,
            help_=say(
                "Monthly margin that is expected to be gone after 90 days: risk times expected margin, summed.",
                "Margen mensual que se espera perder en 90 días: riesgo por margen esperado, sumado.",
            ),
        )
    columns = st.columns(3)
    with columns[0]:
        card(
            say("Offers", "Ofertas"),
            "offers",
            fmt.number(now.offers),
            whole,
            colour="off",
            note=since,
            help_=say(
                f"Made in this run. {fmt.number(now.held_out)} more are held out, to measure what offers bring.",
                f"Hechas en esta fecha. Otras {fmt.number(now.held_out)} quedan en el grupo de control.",
            ),
        )
    with columns[1]:
        used = None if not now.budget or now.spend is None else now.spend / now.budget
        card(
            say("Expected spend", "Gasto esperado"),
            "spend",
            fmt.eur(now.spend),
            euros,
            colour="off",
            note=since,
            help_=say(
                f"Discounts and contacts; {fmt.pct(used, 0)} of the {fmt.eur(now.budget)} that the period had left.",
                f"Descuentos y contactos; {fmt.pct(used, 0)} de los {fmt.eur(now.budget)} que quedaban del periodo.",
            ),
        )
    with columns[2]:
        card(
            say("Expected margin kept", "Margen que se espera conservar"),
            "impact",
            fmt.eur(now.impact),
            euros,
            colour="normal",
            note=since,
            help_=say(
                "Over the policy's horizon, all costs taken off.",
                "En el horizonte de la política, descontados los costes.",
            ),
        )
