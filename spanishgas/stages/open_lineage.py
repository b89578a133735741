"""OpenLineage events of stages, sent where ``OPENLINEAGE_URL`` is set (the RunEvent of OpenLineage 2-0-2).

Whoever listens must never cost a stage: an event that cannot be sent is said once, and this process sends no more.
"""

import json
import os
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.client import HTTPException
from importlib.metadata import version
from typing import Any

from spanishgas.engine.store import Manifest
from spanishgas.redaction import redacted
from spanishgas.stages.datasets import name_of

SCHEMA = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
URL, ENDPOINT, KEY = "OPENLINEAGE_URL", "OPENLINEAGE_ENDPOINT", "OPENLINEAGE_API_KEY"
NAMESPACE, DISABLED = "OPENLINEAGE_NAMESPACE", "OPENLINEAGE_DISABLED"
PATH, NAME = "api/v1/lineage", "spanishgas"
SECONDS = 3.0
# Addresses of listeners that did not answer: asking them again would cost every stage the same wait.
_silent: set[str] = set()


@dataclass
class Events:
    """The events of one run of a stage.

    Attributes:
        job: Data set and stage.
        run_id: The run in MLflow, 32 hexadecimal digits.
        say: Told where an event cannot be sent.
        inputs: Names of what is read.
        outputs: Names of what is published.
    """

    job: str
    run_id: str
    say: Callable[[str], None]
    inputs: list[dict[str, str]] = field(default_factory=list)
    outputs: list[dict[str, str]] = field(default_factory=list)

    def reads(self, manifests: Sequence[Manifest]) -> None:
        """Says that the stage begins, with what it reads."""
        self.inputs = _named(manifests)
        self.send("START")

    def publishes(self, manifests: Sequence[Manifest]) -> None:
        """Keeps what is published for the last event."""
        self.outputs = _named(manifests)

    def send(self, kind: str) -> None:
        """Sends one event.

        Args:
            kind: START, COMPLETE or FAIL.
        """
        base = os.environ.get(URL, "")
        off = os.environ.get(DISABLED, "").lower() in ("1", "true")
        if not base or off or base in _silent:
            return
        event = {
            "eventType": kind,
            "eventTime": datetime.now(UTC).isoformat(),
            "run": {"runId": str(uuid.UUID(self.run_id))},
            "job": {"namespace": _namespace(), "name": self.job},
            "inputs": self.inputs,
            "outputs": self.outputs,
            "producer": f"urn:{NAME}:{version(NAME)}",
            "schemaURL": SCHEMA,
        }
        try:
            _post(f"{base.rstrip('/')}/{os.environ.get(ENDPOINT, PATH).lstrip('/')}", event)
        except (OSError, HTTPException, ValueError) as error:
            _silent.add(base)
            self.say(redacted(f"no OpenLineage events are sent to {base}: {error}"))


@contextmanager
def lineage_events(job: str, run_id: str, say: Callable[[str], None]) -> Iterator[Events]:
    """Sends how a run of a stage ends.

    Args:
        job: Data set and stage.
        run_id: The run in MLflow.
        say: Told where an event cannot be sent.
    """
    events = Events(job, run_id, say)
    try:
        yield events
    except BaseException:
        events.send("FAIL")
        raise
    events.send("COMPLETE")


def _named(manifests: Sequence[Manifest]) -> list[dict[str, str]]:
    names = dict.fromkeys(name_of(one, table) for one in manifests for table in one.tables)
    return [{"namespace": _namespace(), "name": name} for name in names]


def _namespace() -> str:
    return os.environ.get(NAMESPACE, NAME)


def _post(address: str, event: Mapping[str, Any]) -> None:
    if not address.startswith(("http://", "https://")):
        raise ValueError("the address is neither http nor https")
    headers = {"Content-Type": "application/json"}
    if key := os.environ.get(KEY):
        headers["Authorization"] = f"Bearer {key}"
    request = urllib.request.Request(address, json.dumps(event).encode(), headers, method="POST")  # noqa: S310
    with urllib.request.urlopen(request, timeout=SECONDS):  # noqa: S310  # nosec B310
        pass
