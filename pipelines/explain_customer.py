"""`explain_customer`: what a customer is told of their data and of the decision on them.

No entry point of `MLproject`: a launched run would keep the customer as a parameter.
"""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from pipelines._arguments import Arguments
from pipelines._entry import guarded, load_settings
from spanishgas.engine.store import TableStore, write_atomically
from spanishgas.errors import ConfigError
from spanishgas.registry.reading import Reader
from spanishgas.stages.churn_models import registered_name
from spanishgas.stages.explanation import gather, named
from spanishgas.stages.explanation_text import LANGUAGES, render

NAME = "explain_customer"
OWN = ("customer", "language", "into", "contact")
USE = (
    "Say customer=<customer id, or pseudonym from a run>, language=es|en|both, and where you like run_date=<day>, "
    "into=<file>, contact=<whom to write to>"
)


def main(argv: Sequence[str] | None = None) -> int:
    """Writes an explanation; returns the exit code."""
    return guarded(NAME, _explain, argv)


def _explain(arguments: Arguments, console: Console) -> int:
    own = {name: value for one in arguments.overrides for name, _, value in [one.partition("=")] if name in OWN}
    others = [one for one in arguments.overrides if one.partition("=")[0] not in OWN]
    language = own.get("language", "both")
    if not own.get("customer") or language not in (*LANGUAGES, "both"):
        raise ConfigError("what is asked for is not clear", where=NAME, todo=USE)
    settings = load_settings(others)
    store = TableStore.of(settings.data.root, settings.storage)
    customer = named(store, own["customer"])
    registry, model = Reader(settings.tracking), registered_name(settings)
    found = gather(store, customer, settings.run_date, registry.versions(model), registry.history(model))
    wanted = LANGUAGES if language == "both" else (language,)
    today = datetime.now(UTC).date()
    text = "\n---\n\n".join(render(found, one, today, own.get("contact", "")) for one in wanted)
    if "into" in own:
        write_atomically(Path(own["into"]), text)
        console.print(f"{own['into']} is written", markup=False)
    else:
        print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
