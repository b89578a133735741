"""How customers respond to offers, as assumed by the settings."""

import numpy as np
import numpy.typing as npt

from spanishgas.config import AssumedSettings
from spanishgas.policy.candidates import Candidates
from spanishgas.policy.economics import ACTIONS, Respond, Response

# Kinds of response, as decisions, replays and past campaigns name them.
LEARNED, ASSUMED = "learned", "assumed"


def assumed(settings: AssumedSettings, candidates: Candidates, *, acceptance_factor: float = 1.0) -> Respond:
    """The assumed response of customers, see ``assumed_of``."""
    return assumed_of(settings, candidates.kind, candidates.segment, acceptance_factor=acceptance_factor)


def assumed_of(
    settings: AssumedSettings,
    kind: npt.NDArray[np.object_],
    segment: npt.NDArray[np.object_] | None = None,
    *,
    acceptance_factor: float = 1.0,
) -> Respond:
    """The assumed response: acceptance per action and window, times a factor per kind of customer and per segment.

    Args:
        settings: The curves.
        kind: Kind of every customer.
        segment: Segment of every customer; None where it is not known.
        acceptance_factor: A factor on every acceptance, for what-ifs.
    """
    factors = settings.acceptance_factor
    factor = np.array([factors.get(str(name), 1.0) for name in kind], np.float64)
    if segment is not None:
        factor *= np.array([factors.get(str(name), 1.0) for name in segment], np.float64)
    chances = np.array([settings.acceptance[action] for action in ACTIONS])  # type: ignore[index]
    ratios = np.array([settings.accepted_hazard_ratio[action] for action in ACTIONS])  # type: ignore[index]

    def respond(part: slice) -> Response:
        acceptance = np.clip(factor[part, None, None] * acceptance_factor * chances[None], 0.0, 1.0)
        contact = np.full(acceptance.shape, settings.contact_hazard_ratio)
        accepted = contact * ratios[None, :, None]
        return Response(acceptance, accepted, contact)

    return respond


def scaled(respond: Respond, factor: float) -> Respond:
    """A response with every acceptance scaled, and with it how much the hazard of the contacted moves on average.

    A learned response knows the mean over those who accept and those who do not; scaling the acceptance scales how far
    that mean lies from no effect.
    """

    def changed(part: slice) -> Response:
        told = respond(part)
        acceptance = np.clip(told.acceptance * factor, 0.0, 1.0)
        if np.array_equal(told.accepted_ratio, told.refused_ratio):
            ratio = told.refused_ratio**factor
            return Response(acceptance, ratio, ratio)
        return Response(acceptance, told.accepted_ratio, told.refused_ratio)

    return changed
