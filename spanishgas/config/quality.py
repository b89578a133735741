"""Settings of the gates that a delivery has to pass before anything is published from it."""

from datetime import date

from pydantic import Field, field_validator, model_validator

from spanishgas.config.base import SettingsModel

LANDING_GATES = ("cut_off", "no_rows", "fewer_rows")
TABLE_GATES = (
    "quarantined_rows",
    "quarantined_energy",
    "coverage",
    "fewer_customers",
    "strangers",
    "stale",
    "ahead",
    "intervals",
    "unusable",
    "implausible",
    "changed",
)
GATES = (*LANDING_GATES, *TABLE_GATES)


class QualitySettings(SettingsModel):
    """What a delivery must keep to.

    Attributes:
        accept: Gates that may fail this time, as ``gate`` or ``gate.source``; needs a reason.
        reason: Why they may; kept on the run and with what is published.
        limits: Gate -> the figure that it holds a source to: a share, a number of rows or files, or days.
        sources: Source -> limits of its own; null where a gate is not asked of it.
        ahead_days: Source -> days after the extraction that its events may lie at; sources that are not listed: 0.
        settled_days: Days before the last delivery from which on its rows may still change, and days that a customer
            must have been there to be expected with a price and readings.
        plausible: ``source.figure`` -> lowest and highest level that a whole delivery can have.
        few_rows: So many rows of a source may be in quarantine, or dated ahead, whatever their share.
    """

    accept: tuple[str, ...] = ()
    reason: str | None = None
    limits: dict[str, float]
    sources: dict[str, dict[str, float | None]] = Field(default_factory=dict)
    ahead_days: dict[str, int] = Field(default_factory=dict)
    settled_days: int = Field(default=60, ge=0)
    plausible: dict[str, tuple[float, float]] = Field(default_factory=dict)
    few_rows: int = Field(default=1, ge=0)

    def limit(self, gate: str, source: str) -> float | None:
        """The figure that a gate holds a source to, or None where it is not asked."""
        own = self.sources.get(source, {})
        return own[gate] if gate in own else self.limits[gate]

    def accepts(self, gate: str, source: str) -> bool:
        """Whether a failure of the gate at the source is accepted."""
        return gate in self.accept or f"{gate}.{source}" in self.accept

    @field_validator("accept", mode="before")
    @classmethod
    def _several(cls, value: object) -> object:
        return [value] if isinstance(value, str) else value

    @field_validator("reason", mode="before")
    @classmethod
    def _text(cls, value: object) -> object:
        """A reason may look like a number or a day on the command line."""
        return str(value).strip() or None if isinstance(value, str | int | float | date) else value

    @model_validator(mode="after")
    def _known(self) -> "QualitySettings":
        told = {*self.limits, *(gate for own in self.sources.values() for gate in own)}
        accepted = {one.partition(".")[0] for one in self.accept}
        unknown, missing = sorted((told | accepted) - set(GATES)), sorted(set(GATES) - set(self.limits))
        if unknown:
            raise ValueError(f"no such gate: {', '.join(unknown)}. Known gates: {', '.join(GATES)}")
        if missing:
            raise ValueError(f"limits: missing gates {', '.join(missing)}")
        if self.accept and self.reason is None:
            raise ValueError(f"accept={list(self.accept)} needs quality.reason: why the delivery is good all the same")
        return self
