"""Errors that a user can act on.

Every error carries its facts as fields (what failed, where, how many, examples, what to do) and renders them into one
bounded message, so that a terminal, a log line and an HTTP body tell the same story.
"""

import re
from collections.abc import Sequence

from spanishgas.redaction import redacted

MAX_EXAMPLES = 5
MAX_MESSAGE = 4000
# What moves a terminal's cursor, colours it, begins another line of a log, or turns the direction of reading.
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


class SpanishGasError(Exception):
    """Base of every error this project raises on purpose.

    ``exit_code`` is what a process ends with that such an error ends: 1, or a code by which a scheduler can tell that
    settings are wrong (2) or that the same command may work later (75).

    Args:
        what: What failed, as a sentence without its full stop.
        where: The table, file, stage or key concerned.
        count: How many rows, files or keys are concerned, if that can be counted.
        examples: A few of them; at most five are shown.
        todo: What the user can do about it.
    """

    exit_code = 1

    def __init__(
        self,
        what: str,
        *,
        where: str | None = None,
        count: int | None = None,
        examples: Sequence[object] = (),
        todo: str | None = None,
    ) -> None:
        self.what = what
        self.where = where
        self.count = count
        self.examples = tuple(examples)
        self.todo = todo
        super().__init__(self._render())

    def _render(self) -> str:
        parts = [self.what if self.where is None else f"{self.where}: {self.what}"]
        if self.count is not None:
            parts.append(f"({self.count:,} affected)")
        if self.examples:
            shown = ", ".join(str(example).replace("\n", "\\n") for example in self.examples[:MAX_EXAMPLES])
            more = len(self.examples) - MAX_EXAMPLES
            parts.append(f"e.g. {shown}" + (f" and {more} more" if more > 0 else ""))
        message = " ".join(parts)
        if self.todo:
            message += f". {self.todo}"
        message = redacted(CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), message))
        return message if len(message) <= MAX_MESSAGE else message[: MAX_MESSAGE - 1] + "…"


class ConfigError(SpanishGasError):
    """A setting is unknown, missing or out of its range."""

    exit_code = 2


class SourceError(SpanishGasError):
    """A raw source is missing or cannot be read as its configuration says."""


class DeliveryError(SpanishGasError):
    """A delivery does not pass its gates; nothing of it is published."""


class ContractError(SpanishGasError):
    """A table does not keep the promise that its contract makes."""


class PublishError(SpanishGasError):
    """A published table is missing, damaged, or could not be put in place."""


class LostRaceError(PublishError):
    """Another run has written what this run wanted to write; the same command may work now."""

    exit_code = 75


class StorageError(SpanishGasError):
    """The store with the published tables cannot be reached, or refuses what is asked of it."""


class LockTimeoutError(PublishError):
    """Another run holds the partition that this run wants to publish."""

    exit_code = 75


class WorkerError(SpanishGasError):
    """A worker process was ended from outside, so that its part of the work is missing."""


class LaterReleaseError(SpanishGasError):
    """What is there was written by a later release, and this one would misread it or write over it."""


class TrackingError(SpanishGasError):
    """The tracking store cannot be reached or prepared."""


class PromotionError(SpanishGasError):
    """A champion could not be changed: another was faster, or there is nothing to change to."""


class ModelFileError(SpanishGasError):
    """A model's files are missing, damaged, or of a kind that is not known."""
