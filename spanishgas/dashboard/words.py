"""Words of the trade in English and Spanish, side by side so that none is left without the other."""

from collections.abc import Mapping

from spanishgas.dashboard.formatting import Language
from spanishgas.policy.reasons import REASONS, SEPARATOR

Pair = tuple[str, str]

ACTIONS: dict[str, Pair] = {
    "none": ("No offer", "Sin oferta"),
    "small": ("Small offer", "Oferta pequeña"),
    "medium": ("Medium offer", "Oferta mediana"),
    "large": ("Large offer", "Oferta grande"),
}
SIZES: dict[str, Pair] = {
    "small": ("Small", "Pequeña"),
    "medium": ("Medium", "Mediana"),
    "large": ("Large", "Grande"),
}
WINDOWS: dict[str, Pair] = {
    "none": ("–", "–"),
    "immediate": ("Next 30 days", "Próximos 30 días"),
    "30_60": ("Days 31 to 60", "Días 31 a 60"),
    "60_90": ("Days 61 to 90", "Días 61 a 90"),
}
CHANNELS: dict[str, Pair] = {
    "none": ("–", "–"),
    "phone": ("Phone", "Teléfono"),
    "email": ("E-mail", "Correo electrónico"),
    "letter": ("Letter", "Carta"),
    "sms": ("Text message", "SMS"),
}
BUCKETS: dict[str, Pair] = {"high": ("High", "Alto"), "medium": ("Medium", "Medio"), "low": ("Low", "Bajo")}
SALES_CHANNELS: dict[str, Pair] = {
    "presencial_comercial": ("Sales visit", "Visita comercial"),
    "comparador": ("Comparison site", "Comparador"),
    "oficina": ("Office", "Oficina"),
    "telemarketing": ("Telemarketing", "Telemarketing"),
    "web_propia": ("Own website", "Web propia"),
    "unknown": ("Unknown", "Desconocido"),
}
CONTACTS: dict[str, Pair] = {
    "phone": ("Phone", "Teléfono"),
    "email": ("E-mail", "Correo electrónico"),
    "web": ("Web", "Web"),
    "app": ("App", "App"),
    "office": ("Office", "Oficina"),
    "chat": ("Chat", "Chat"),
    "letter": ("Letter", "Carta"),
    "unknown": ("Unknown", "Desconocido"),
}
# What a guardrail stands for, in two or three words; the sentence is the guardrail's own.
GUARDRAILS: dict[str, Pair] = {
    "margin_before": ("No margin", "Sin margen"),
    "margin_after": ("No margin left", "Margen agotado"),
    "value": ("Costs more than it brings", "Cuesta más de lo que aporta"),
    "vulnerable": ("Vulnerable customer", "Cliente vulnerable"),
    "consent": ("No consent", "Sin consentimiento"),
    "recently_contacted": ("Contacted recently", "Contacto reciente"),
    "recently_held_out": ("Held out", "Grupo de control"),
    "discount_cap": ("Above the discount cap", "Supera el tope de descuento"),
    "contract_window": ("Not around the renewal", "Lejos de la renovación"),
}
METRICS: dict[str, Pair] = {
    "pr_auc": ("Precision over recall (PR-AUC)", "Precisión media (PR-AUC)"),
    "roc_auc": ("Ranking (ROC-AUC)", "Ordenación (ROC-AUC)"),
    "recall_at_10": ("Leavers in the riskiest 10%", "Bajas captadas en el 10 % de mayor riesgo"),
    "precision_at_10": ("Leave among the riskiest 10%", "Se dan de baja en el 10 % de mayor riesgo"),
    "lift_at_10": ("Times better than chance, top 10%", "Veces mejor que el azar, primer 10 %"),
    "brier": ("Squared error (Brier)", "Error cuadrático (Brier)"),
    "log_loss": ("Log-loss", "Pérdida logarítmica"),
    "ece": ("Calibration error", "Error de calibración"),
    "calibration_slope": ("Calibration slope", "Pendiente de calibración"),
    "observed_over_expected": ("Observed over expected", "Observado sobre esperado"),
}
ROLES: dict[str, Pair] = {
    "champion": ("Champion", "Campeón"),
    "challenger": ("Challenger", "Aspirante"),
    "baseline": ("Baseline", "Referencia"),
}
DECIDED: dict[str, Pair] = {
    "promoted": ("Promoted", "Promovido"),
    "forced": ("Promoted by force", "Promovido a la fuerza"),
    "rolled back": ("Rolled back", "Restaurado"),
    "refused": ("Refused", "Rechazado"),
    "conflict": ("Conflict", "Conflicto"),
    "unchanged": ("Unchanged", "Sin cambios"),
}
GATES: dict[str, Pair] = {
    "baseline": ("Not worse than the baseline", "No peor que la referencia"),
    "better": ("Better than the champion", "Mejor que el campeón"),
    "not_worse": ("Not worse than the champion", "No peor que el campeón"),
    "calibrated": ("Calibrated", "Calibrado"),
    "calibration": ("Calibration kept", "Calibración conservada"),
    "comparable": ("Comparable rows", "Filas comparables"),
    "fast": ("Fast enough", "Bastante rápido"),
    "features": ("Features still made", "Variables disponibles"),
    "groups": ("No group much worse", "Ningún grupo mucho peor"),
    "ranks": ("Ranks better than chance", "Ordena mejor que el azar"),
    "rolled_back": ("Was rolled back before", "Ya fue retirado antes"),
}
# What each gate asks for, to be read beside whether it was passed.
GATE_DEMANDS: dict[str, Pair] = {
    "baseline": (
        "Ranks no worse than the interpretable baseline, beyond noise.",
        "No ordena peor que el modelo de referencia, más allá del azar.",
    ),
    "better": (
        "Ranks better than the champion by at least one figure, beyond noise.",
        "Ordena mejor que el campeón en al menos una medida, más allá del azar.",
    ),
    "not_worse": (
        "Ranks no worse than the champion by any figure, beyond noise.",
        "No ordena peor que el campeón en ninguna medida, más allá del azar.",
    ),
    "calibrated": (
        "Its probabilities are true enough to count euros with.",
        "Sus probabilidades son lo bastante fieles para calcular euros con ellas.",
    ),
    "calibration": (
        "Its calibration error does not grow much over the champion's.",
        "Su error de calibración no crece mucho respecto al del campeón.",
    ),
    "comparable": (
        "The test rows come after everything that it learned from.",
        "Las filas de prueba son posteriores a todo lo aprendido.",
    ),
    "fast": (
        "Scores fast enough; timed anew by every run that decides.",
        "Puntúa con bastante rapidez; se cronometra en cada decisión.",
    ),
    "features": (
        "All features that it takes are still made, in the same type.",
        "Todas las variables que usa se siguen calculando, con el mismo tipo.",
    ),
    "groups": (
        "No month, segment or group of customers is much worse off.",
        "Ningún mes, segmento o grupo de clientes sale mucho peor.",
    ),
    "ranks": (
        "Ranks better than chance, with the whole interval.",
        "Ordena mejor que el azar, con el intervalo entero.",
    ),
}
GATE_STATES: dict[str, Pair] = {
    "passed": ("Passed", "Superada"),
    "failed": ("Failed", "No superada"),
    "not asked": ("Not asked", "No aplica"),
}
POLICIES: dict[str, Pair] = {
    "learned": ("Ours, response learned", "La nuestra, respuesta aprendida"),
    "assumed": ("Ours, response assumed", "La nuestra, respuesta supuesta"),
    "top_risk_medium": ("Medium offer to the riskiest", "Oferta mediana a los de más riesgo"),
    "tier_by_risk": ("Offer by risk tier", "Oferta por nivel de riesgo"),
    "oracle": ("Oracle: knows the future", "Oráculo: conoce el futuro"),
    "with_traits": ("Knows today's hidden traits", "Conoce los rasgos ocultos de hoy"),
    "informed": ("Informed: knows all that is recorded", "Informado: conoce todo lo registrado"),
    "nobody": ("Nobody", "Nadie"),
    "with_true_risk": ("Ours, with the true risk", "La nuestra, con el riesgo real"),
    "with_true_margin": ("Ours, with the true margin", "La nuestra, con el margen real"),
    "with_true_response": ("Ours, with the true response", "La nuestra, con la respuesta real"),
}
RESPONSES: dict[str, Pair] = {"learned": ("learned", "aprendida"), "assumed": ("assumed", "supuesta")}
DRIFT_STATES: dict[str, Pair] = {
    "ok": ("No drift", "Sin deriva"),
    "alarm": ("Drift", "Deriva"),
    "unknown": ("Cannot be told", "No se puede saber"),
}
CHECKS: dict[str, Pair] = {
    "freshness": ("Freshness", "Actualidad"),
    "source_rows": ("Rows of a source", "Filas de una fuente"),
    "rows": ("Rows", "Filas"),
    "missingness": ("Missing values", "Valores ausentes"),
    "new_categories": ("New categories", "Categorías nuevas"),
    "vanished_categories": ("Vanished categories", "Categorías desaparecidas"),
    "distribution": ("Distribution", "Distribución"),
    "prediction": ("Predictions", "Predicciones"),
}
CHECK_STATES: dict[str, Pair] = {
    "ok": ("In order", "Correcto"),
    "alarm": ("Alarm", "Alarma"),
    "unknown": ("Unknown", "Desconocido"),
}
CHECK_ROLES: dict[str, Pair] = {"root": ("cause", "causa"), "dependant": ("follows", "consecuencia"), "none": ("", "")}
RETRAIN_REASONS: dict[str, Pair] = {
    "no_champion": ("there is no champion", "no hay campeón"),
    "performance": ("measured performance is below its floor", "el rendimiento medido está por debajo de su mínimo"),
    "persistent_drift": (
        "drift persists, with enough new labels",
        "la deriva persiste, con suficientes etiquetas nuevas",
    ),
    "age": ("the model is old", "el modelo es antiguo"),
    "cooldown": ("a model was trained just before", "se acaba de entrenar un modelo"),
}
POPULATIONS: dict[str, Pair] = {
    "untreated": ("Without offers", "Sin ofertas"),
    "never_targeted": ("Never targeted", "Nunca en campaña"),
    "held_out": ("Held out", "Grupo de control"),
    "treated": ("With offers", "Con ofertas"),
}
STATUSES: dict[str, Pair] = {
    "measured": ("Measured", "Medido"),
    "estimated": ("Estimated", "Estimado"),
    "unknown": ("Unknown", "Desconocido"),
}
REPORTS: dict[str, Pair] = {"drift": ("Drift", "Deriva"), "performance": ("Performance", "Rendimiento")}

# What is published under a name, and what a line of a lineage may be else.
PUBLICATIONS: dict[str, Pair] = {
    "ingest": ("Landed raw files", "Ficheros cargados"),
    "silver": ("Clean tables", "Tablas depuradas"),
    "features": ("Features", "Variables"),
    "training_set": ("Training set", "Conjunto de entrenamiento"),
    "model": ("Trained model", "Modelo entrenado"),
    "promotion": ("Comparison of models", "Comparación de modelos"),
    "backtest": ("Backtest", "Prueba retrospectiva"),
    "segments": ("Segments", "Segmentos"),
    "scoring": ("Scores", "Puntuaciones"),
    "response": ("Response to offers", "Respuesta a ofertas"),
    "recommendations": ("Decision", "Decisión"),
    "simulation": ("Simulation of the plan", "Simulación del plan"),
    "measured": ("Measured effect", "Efecto medido"),
    "replay_study": ("Replayed worlds", "Mundos repetidos"),
    "drift": ("Drift", "Deriva"),
    "performance": ("Performance", "Rendimiento"),
    "retrain_signal": ("Whether to train again", "Si conviene reentrenar"),
}
NODES: dict[str, Pair] = {
    "raw file": ("Raw file", "Fichero"),
    "unknown": ("Not published any more", "Ya no está publicado"),
}


def word(words: Mapping[str, Pair], key: object, language: Language) -> str:
    """The word for a key; a key that has none yet is told as it is, without its underscores."""
    pair = words.get(str(key))
    if pair is None:
        return str(key).replace("_", " ")
    return pair[1] if language == "es" else pair[0]


def sentences_of(codes: str, language: Language) -> list[str]:
    """The sentences of joined reason codes; a code of a later release is told as it is."""
    found = []
    for code in filter(None, str(codes).split(SEPARATOR)):
        reason = REASONS.get(code)
        found.append(str(getattr(reason, language)) if reason is not None else code.replace("_", " "))
    return found


def first_reason(codes: str, language: Language) -> str:
    """The weightiest reason, as a sentence; empty where there is none."""
    told = sentences_of(codes.split(SEPARATOR, maxsplit=1)[0], language)
    return told[0] if told else ""


def limit_name(limit: str, language: Language) -> str:
    """What a limit of the plan is called: the budget, a window's or a channel's capacity."""
    kind, _, name = limit.partition(":")
    if kind == "window":
        return word(WINDOWS, name, language)
    if kind == "channel":
        return word(CHANNELS, name, language)
    return "Presupuesto" if language == "es" else "Budget"
