"""Words that tell intent, tone and state of an agent's note, in Spanish and English.

Patterns are RE2 syntax for lower-case text. They are written from the vocabulary of customer service, not fitted to
outcomes: a pattern chosen because it predicts churn would carry the label into the feature.
"""

from typing import Final

INTENTS: Final[dict[str, str]] = {
    "complaint": r"\b(queja\w*|reclama\w*|indebid\w*|denuncia\w*|complain\w*|dispute\w*|wrong(ly)?|incorrect\w*)\b",
    "cancellation": (
        r"\b(darse de baja|baja (del|de su|de la|de) (suministro|contrato|servicio)|dar de baja|cancela\w*|cancel\w*|"
        r"terminat\w*|end(ing)? the (supply|contract)|portabilidad|se marcha|quiere irse)\b"
    ),
    "pricing": (
        r"\b(m[aá]s barat\w*|otra compa[nñ][ií]a|competencia|subid\w* el precio|precio\w*|tarifa\w*|caro|cheaper|"
        r"another supplier|competitor\w*|price\w*|tariff\w*|expensive)\b"
    ),
    "billing": r"\b(factura\w*|recibo\w*|cobro\w*|bill\w*|invoice\w*|charge[ds]?)\b",
    "renewal": r"\b(renova\w*|renueva\w*|vence\w*|vencimiento|renew\w*|contract ends|expir\w*)\b",
}
NEGATIVE: Final = (
    r"\b(molest\w*|enfad\w*|insatisfech\w*|descontent\w*|tens[oa]|indignad\w*|frustrad\w*|hart[oa]|mal[oa]?|p[eé]sim\w*|"
    r"problema\w*|retraso\w*|indebid\w*|upset|angry|unhappy|frustrat\w*|dissatisf\w*|annoyed|furious|bad|terrible|"
    r"problem\w*|disappoint\w*|wrong(ly)?)\b"
)
POSITIVE: Final = (
    r"\b(amable\w*|agradec\w*|satisfech\w*|content[oa]|cordial\w*|encantad\w*|gracias|excelente\w*|bien|friendly|"
    r"thank\w*|happy|pleasant|pleased|satisfied|grateful|excellent|great)\b"
)
# A positive word after a negation is a negative one.
NEGATED: Final = (
    r"\b(no|nada|poco|sin estar|not|never|isn't|wasn't|no est[aá])( \w+)? "
    r"(amable\w*|satisfech\w*|content[oa]|happy|satisfied|pleased|friendly)\b"
)
UNRESOLVED: Final = (
    r"\b(sin resolver|no (se )?resuel\w*|pendiente\w*|queda abiert\w*|escala\w*|unresolved|"
    r"not (yet )?(resolved|solved)|pending|left open|escalat\w*)\b"
)
