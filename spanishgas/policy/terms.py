"""The terms of a decision: what somebody needs to take the same decision for one more customer."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

from spanishgas.config import PolicySettings
from spanishgas.domain.survival import Survival
from spanishgas.errors import PublishError
from spanishgas.policy.effects import Effects
from spanishgas.policy.recommendations import Basis

FORMAT = 2


@dataclass(frozen=True)
class Terms:
    """What a run's decisions were taken under.

    Attributes:
        settings: The policy, with the hold-out's share as it was drawn.
        basis: What the decisions rest on.
        effects: The learned response; None where the response is assumed.
        survival: How the model's hazards go on after its windows.
    """

    settings: PolicySettings
    basis: Basis
    effects: Effects | None
    survival: Survival

    def save(self, file: Path) -> None:
        """Writes the terms as JSON."""
        state = {
            "format": FORMAT,
            "settings": self.settings.model_dump(mode="json"),
            "basis": asdict(self.basis),
            "effects": None if self.effects is None else self.effects.state,
            "survival": self.survival.state,
        }
        file.write_text(json.dumps(state, indent=1, sort_keys=True, default=str) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, file: Path) -> "Terms":
        """Reads what ``save`` wrote.

        Raises:
            PublishError: The file is not there, damaged, or of another format.
        """
        try:
            state: Mapping[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            if state["format"] != FORMAT:
                raise ValueError(f"format {state['format']!r}, known is {FORMAT}")
            told = state["basis"]
            days = {name: date.fromisoformat(told[name]) for name in ("run_date", "as_of")}
            return cls(
                settings=PolicySettings.model_validate(state["settings"]),
                basis=Basis(**{**told, **days}),
                effects=None if state["effects"] is None else Effects.restore(state["effects"]),
                survival=Survival.restore(state["survival"]),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise PublishError(
                f"the terms of the decisions cannot be read: {error}",
                where=str(file),
                todo="Run `recommend` again",
            ) from error
