"""No commercial contact against the customer's will; no call without express prior consent."""

import numpy as np

from spanishgas.policy.guardrails.base import Bools, Facts, Guardrail

PHONE = "phone"


def vetoed(facts: Facts) -> Bools:
    """Channels without consent, as known at the decision's time.

    Refused consent to commercial messages closes every channel. A call needs express consent to calls beside it. Where
    consent is not known, only the channels that the settings name are left.
    """
    marketing, phone = facts.candidates["marketing_consent"], facts.candidates["phone_consent"]
    closed = []
    for channel in facts.settings.channels:
        unknown = np.isnan(marketing) & (channel not in facts.settings.guardrails.channels_without_consent)
        no_call = ~(phone == 1) if channel == PHONE else np.zeros(len(phone), bool)
        closed.append((marketing == 0) | unknown | no_call)
    return np.stack(closed, axis=1)[:, None, None, :]


GUARDRAIL = Guardrail(
    name="consent",
    en="No consent to commercial contact through this channel.",
    es="Sin consentimiento para contactos comerciales por este canal.",
    vetoed=vetoed,
)
