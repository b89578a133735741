"""Lineage: what a recommendation was made of, down to raw files, and what was made of a raw file."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from spanishgas.dashboard.data import RECOMMENDED
from spanishgas.dashboard.formatting import NOTHING, plain
from spanishgas.dashboard.layout import customer_input, facts, page_head, section
from spanishgas.dashboard.view import View
from spanishgas.dashboard.words import ACTIONS, NODES, PUBLICATIONS, RESPONSES, ROLES
from spanishgas.engine.store import TableStore
from spanishgas.errors import TrackingError

if TYPE_CHECKING:
    from spanishgas.stages.lineage import Lineage, Node

DEEPER = "\u2003\u2003"
KEPT = 2


def show(view: View) -> None:
    """Draws the page."""
    say = view.say
    page_head(
        view,
        say("Lineage", "Procedencia"),
        say(
            "What was made of what, by the digests that everything was published with.",
            "Qué se hizo a partir de qué, según las huellas con las que se publicó todo.",
        ),
    )
    with section(
        view,
        say("Behind a recommendation", "Detrás de una recomendación"),
        say(
            "From the decision of this date back to the raw files; a line stands on those below it and further in.",
            "De la decisión de esta fecha a los ficheros; cada línea se apoya en las de debajo y más adentro.",
        ),
        key="back",
    ):
        _back(view)
    with section(
        view,
        say("From a raw file", "Desde un fichero"),
        say(
            "Everything published that has something of the file in it, the model included.",
            "Todo lo publicado que contiene algo del fichero, el modelo incluido.",
        ),
        key="forward",
    ):
        _forward(view)


def _back(view: View) -> None:
    say = view.say
    manifest = view.published.manifest(RECOMMENDED, view.run_date)
    if "customer" not in st.session_state:
        first = view.published.table(manifest, "recommendations", ["customer_id"])["customer_id"]
        asked = str(st.query_params.get("customer", ""))
        st.session_state["customer"] = asked or ("" if first.empty else str(first.iloc[0]))
    customer = customer_input(view)
    rows = view.published.table(manifest, "recommendations", customer=customer)
    if rows.empty:
        st.warning(
            say(
                f"**{plain(customer) or NOTHING}** has no recommendation of this date.",
                f"**{plain(customer) or NOTHING}** no tiene recomendación de esta fecha.",
            ),
            icon=":material/person_search:",
        )
        return
    st.query_params["customer"] = customer
    row = rows.iloc[0]
    facts(
        [
            (say("Recommended", "Recomendación"), view.word(ACTIONS, row["action"])),
            (say("Model", "Modelo"), f"v{row['model_version']} · {row['model_digest'][:16]}"),
            (say("Policy", "Política"), str(row["policy_version"])),
            (say("Response to offers", "Respuesta a ofertas"), _response(view, manifest.tags)),
            (say("Decided", "Decidida"), view.fmt.moment(manifest.created_at)),
            (say("Run in MLflow", "Ejecución en MLflow"), manifest.run_id),
        ]
    )
    _tree(view, _lineage(view).back(manifest))


def _response(view: View, tags: Mapping[str, str]) -> str:
    return view.word(RESPONSES, tags["response"]) if tags.get("response") else NOTHING


def _forward(view: View) -> None:
    lineage = _lineage(view)
    files = lineage.raw_files
    if not files:
        st.markdown(view.say("No raw file has been landed here.", "Aquí no se ha cargado ningún fichero."))
        return
    chosen = st.selectbox(view.say("Raw file", "Fichero"), files, key="raw_file", width=480)
    for node in lineage.forward(str(chosen)):
        _tree(view, node)


def _tree(view: View, top: "Node") -> None:
    """A tree as a table whose first column is indented."""
    from spanishgas.stages.lineage import steps

    say, models = view.say, _models(view)
    rows = [
        {
            say("Step", "Paso"): DEEPER * depth + _what(view, node),
            say("Published as", "Publicado como"): node.name,
            say("Made", "Hecho"): view.fmt.moment(node.created_at),
            say("Model", "Modelo"): ", ".join(models.get(one, one[:16]) for one in node.models),
            say("Run in MLflow", "Ejecución en MLflow"): node.run_id,
            "SHA-256": node.digest if node.kind != "publication" else "",
        }
        for depth, node in steps(top)
    ]
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        column_config={
            name: st.column_config.TextColumn(width=width)
            for name, width in zip(rows[0], (260, 330, 150, 130, 250, 480), strict=True)
        },
    )


def _what(view: View, node: "Node") -> str:
    if node.kind != "publication":
        return view.word(NODES, node.kind)
    told = view.word(PUBLICATIONS, node.name.split("/")[1])
    return told + (view.say(" (see above)", " (véase arriba)") if node.told_before else "")


def _models(view: View) -> dict[str, str]:
    """Digest of a model -> its version and roles; nothing where the registry cannot be asked."""
    try:
        versions = view.versions()
    except TrackingError:
        return {}
    return {
        one.version.digest: f"v{one.version.version}"
        + "".join(f" · {view.word(ROLES, alias)}" for alias in one.aliases if alias in ROLES)
        for one in reversed(versions)
    }


def _lineage(view: View) -> "Lineage":
    """What is published, linked; read again where anything was published since."""
    store = view.published.store
    return _linked(str(store.place), store.state(), store)


@st.cache_resource(max_entries=KEPT, show_spinner=False)
def _linked(place: str, state: tuple[tuple[str, float], ...], _store: TableStore) -> "Lineage":
    from spanishgas.stages.lineage import Lineage

    return Lineage(_store)
