"""Which settings are parameters of a run: those that its stage's result depends on, under the names that are typed."""

from typing import Any

from spanishgas.config import Settings
from spanishgas.config.flat import flat, is_below, spelled
from spanishgas.redaction import masked
from spanishgas.stages.pages import PAGES

# Long, and never compared; the artifact `config.yaml` has them.
LONG = ("data.sources", "data.extras")
# What a search of no trials is configured with changes nothing.
SEARCH = "tuning"


def parameters_of(stage: str, settings: Settings) -> dict[str, str]:
    """Name -> value of the settings that a stage's result depends on.

    Args:
        stage: Name of a stage or of a pipeline; one without a page has none.
        settings: Resolved settings.
    """
    if stage not in PAGES:
        return {}
    page = PAGES[stage]
    wanted = (*page.settings, *page.depends)
    told = {
        name: value
        for name, value in flat(settings)
        if any(is_below(name, one) for one in wanted) and not any(is_below(name, one) for one in LONG)
    }
    idle = [
        name.removesuffix("trials") for name, value in told.items() if name.endswith(f"{SEARCH}.trials") and not value
    ]
    if isinstance(told.get("as_of"), list) and len(told["as_of"]) == 1:  # a list of one is typed as a date
        told["as_of"] = told["as_of"][0]
    return {
        name: spelled(value)
        for name, value in told.items()
        if name.endswith(".trials") or not any(name.startswith(one) for one in idle)
    }


def recorded(settings: Settings) -> dict[str, Any]:
    """The whole resolved configuration as it is kept with a run: without passwords."""
    told = settings.model_dump(mode="json")
    for name in ("uri", "lock"):
        if told["tracking"][name]:
            told["tracking"][name] = masked(told["tracking"][name])
    return told
