"""What a guardrail is: a rule that can only take options away, and says why."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from spanishgas.config import PolicySettings
from spanishgas.policy.candidates import Candidates
from spanishgas.policy.economics import Values

Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Facts:
    """What a guardrail looks at. It never sees what other guardrails said, so their order cannot matter.

    Attributes:
        candidates: Customers, as known at the decision's time.
        values: What each offer is worth.
        settings: The policy.
    """

    candidates: Candidates
    values: Values
    settings: PolicySettings

    def per_customer(self, vetoed: Bools) -> Bools:
        """A veto of everything: shape (customers, 1, 1, 1)."""
        return vetoed[:, None, None, None]


@dataclass(frozen=True)
class Guardrail:
    """A rule.

    Attributes:
        name: Stable identifier, also the name of its module and its reason code.
        en: The reason in English.
        es: The reason in Spanish.
        vetoed: What is vetoed: true where an option may not be used, in a shape that spreads to (customers, actions,
            windows, channels). A veto of channels holds for all actions and windows, and the other way round.
    """

    name: str
    en: str
    es: str
    vetoed: Callable[[Facts], Bools]
