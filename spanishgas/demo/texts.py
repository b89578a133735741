"""What agents note down, in Spanish and English, by topic and tone."""

from typing import Final

TOPICS = ("complaint", "billing", "renewal", "pricing", "plan", "account", "cancellation")
TONES = ("negative", "neutral", "positive")

OPENINGS: Final[dict[tuple[str, str], tuple[str, ...]]] = {
    ("es", "negative"): ("Cliente muy molesto.", "Llama enfadado.", "Insatisfecho con el servicio.", "Tono tenso."),
    ("es", "neutral"): ("El cliente contacta.", "Consulta.", "Gestión solicitada por el titular.", ""),
    ("es", "positive"): ("Cliente amable.", "Agradece la atención.", "Satisfecho con el servicio.", "Trato cordial."),
    ("en", "negative"): ("Customer very upset.", "Angry call.", "Unhappy with the service.", "Frustrated customer."),
    ("en", "neutral"): ("Customer contacted us.", "Enquiry.", "Request by the account holder.", ""),
    ("en", "positive"): ("Friendly customer.", "Thanked us for the help.", "Happy with the service.", "Pleasant call."),
}

BODIES: Final[dict[tuple[str, str], tuple[str, ...]]] = {
    ("es", "complaint"): (
        "Reclamación por lecturas incorrectas, pide solución.",
        "Presenta una queja por el retraso en la gestión.",
        "Reclama un cobro indebido de {amount} euros.",
    ),
    ("es", "billing"): (
        "Pregunta por la factura de {month}, importe {amount} euros.",
        "Solicita duplicado de la factura de {month}.",
        "Duda sobre el término fijo de su factura.",
    ),
    ("es", "renewal"): (
        "Pregunta por la renovación de su contrato en {month}.",
        "Consulta las condiciones de renovación.",
        "Quiere saber cuándo vence su contrato.",
    ),
    ("es", "pricing"): (
        "Compara el precio con otra compañía.",
        "Pregunta si hay una tarifa más barata.",
        "Comenta que le ha subido el precio del kWh.",
    ),
    ("es", "plan"): (
        "Pide información de otro plan.",
        "Interesado en cambiar de producto.",
        "Consulta la potencia contratada.",
    ),
    ("es", "account"): (
        "Actualiza sus datos bancarios.",
        "Cambia su dirección de correo.",
        "Problema de acceso al área de cliente.",
    ),
    ("es", "cancellation"): ("Pregunta cómo darse de baja.", "Pide información sobre la baja del suministro."),
    ("en", "complaint"): (
        "Complaint about wrong meter readings, wants it solved.",
        "Complains that the request takes too long.",
        "Disputes a charge of {amount} euros.",
    ),
    ("en", "billing"): (
        "Asked about the bill of {month}, {amount} euros.",
        "Requested a copy of the {month} invoice.",
        "Question about the fixed term on the bill.",
    ),
    ("en", "renewal"): (
        "Asked about the contract renewal in {month}.",
        "Wants to know the renewal conditions.",
        "Asked when the contract ends.",
    ),
    ("en", "pricing"): (
        "Compared our price with another supplier.",
        "Asked for a cheaper tariff.",
        "Noted that the price per kWh has gone up.",
    ),
    ("en", "plan"): ("Asked about another plan.", "Interested in changing product.", "Asked about contracted power."),
    ("en", "account"): (
        "Updated bank details.",
        "Changed the e-mail address.",
        "Could not log in to the customer area.",
    ),
    ("en", "cancellation"): ("Asked how to cancel.", "Wanted information on ending the supply."),
}

CLOSINGS: Final[dict[tuple[str, bool], tuple[str, ...]]] = {
    ("es", True): ("Resuelto en la llamada.", "Gestión completada.", "Se resuelve."),
    ("es", False): ("Pendiente de respuesta.", "Sin resolver, se escala.", "Queda abierto."),
    ("en", True): ("Solved on the call.", "Done.", "Resolved."),
    ("en", False): ("Pending, escalated.", "Not resolved yet.", "Left open."),
}

MONTHS: Final[dict[str, tuple[str, ...]]] = {
    "es": ("enero", "febrero", "marzo", "abril", "mayo", "junio", "julio", "agosto", "septiembre", "octubre",
           "noviembre", "diciembre"),
    "en": ("January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
           "November", "December"),
}  # fmt: skip
