"""What a pipeline has decided and made, and where to look: for the terminal's last lines and for the pipeline's run."""

from collections.abc import Callable, Sequence
from pathlib import Path

from spanishgas.config import Settings
from spanishgas.engine.store import Manifest
from spanishgas.stages.runner import Outcome

SHOWN_TABLES = 4
REPORTED = ("promote", "recommend", "simulate", "drift", "performance")
OURS = "replay_share_of_informed"
RULES = {"top_risk_medium": "medium offer to the riskiest", "tier_by_risk": "offer by risk tier"}


def summarise(outcomes: Sequence[Outcome], settings: Settings) -> str:
    """The pipeline's report in Markdown: decisions, then what was published."""
    decided = _decided(outcomes)
    lines = [f"# Pipeline on {settings.data.name}, run date {settings.run_date}", ""]
    lines += [f"- **{name}**: {text}" for name, text in decided]
    lines += ["", "| stage | seconds | | published |", "| --- | ---: | --- | --- |"]
    for outcome in outcomes:
        made = "; ".join(_published(manifest) for manifest in outcome.manifests)
        lines.append(f"| {outcome.stage} | {outcome.seconds:.1f} | {'cached' if outcome.cached else ''} | {made} |")
    return "\n".join(lines) + "\n"


def closing(outcomes: Sequence[Outcome], settings: Settings, folder_of: Callable[[str], Path | None]) -> str:
    """The last lines on the terminal.

    Args:
        outcomes: What the steps came to.
        settings: The settings.
        folder_of: Run id -> the folder of its artifacts; None where they are not on this machine.
    """
    seconds = sum(outcome.seconds for outcome in outcomes)
    cached = sum(outcome.cached for outcome in outcomes)
    lines = ["", f"{len(outcomes)} steps in {seconds:.0f} s, {cached} of them published before", ""]
    decided = _decided(outcomes)
    if decided:
        lines += ["Decided", *(f"  {name:<10}{text}" for name, text in decided), ""]
    root = settings.data.root
    lines += ["Where to look", f"  tables      {root}/bronze, {root}/silver, {root}/gold (Parquet)"]
    for outcome in outcomes:
        folder = folder_of(_made_by(outcome)) if outcome.stage in REPORTED else None
        if folder is not None:
            lines.append(f"  {outcome.stage:<12}{folder}/report.md")
    lines += ["  meanings    docs/DATA_DICTIONARY.md, docs/FEATURES.md, docs/RECOMMENDATION_POLICY.md", "", "Go on"]
    extra = "" if settings.data.name == "demo" else f" data={settings.data.name}"
    serve = f"SPANISHGAS_SERVE_DATA={settings.data.name} make serve" if extra else "make serve"
    dashboard = f"SPANISHGAS_DATA={settings.data.name} make dashboard" if extra else "make dashboard"
    commands = {
        dashboard: "customers, offers and the model at http://127.0.0.1:8501",
        "make ui": "runs, reports and models; it names the address",
        serve: "POST /score at http://127.0.0.1:8080",
        f"python -m pipelines.run_pipeline pipeline=daily{extra}": "decide again with the champion",
        f"python -m pipelines.train model=logistic{extra}": f"a challenger; then python -m pipelines.promote{extra}",
    }
    width = max(map(len, commands))
    lines += [f"  {command:<{width}}  # {meaning}" for command, meaning in commands.items()]
    return "\n".join(lines)


def _decided(outcomes: Sequence[Outcome]) -> list[tuple[str, str]]:
    """What was decided, by topic; from what is published, so that a cached run tells the same."""
    found = []
    for outcome in outcomes:
        if not outcome.manifests:
            continue
        manifest = outcome.manifests[0]
        if outcome.stage == "promote":
            found.append(("champion", outcome.headline))
        elif outcome.stage == "recommend":
            found += _offers(manifest)
        elif outcome.stage == "simulate":
            found += _replayed(manifest)
        elif outcome.stage == "retrain_signal":
            found.append(("training", manifest.tags["retrain_in_words"]))
    return found


def _offers(manifest: Manifest) -> list[tuple[str, str]]:
    told, tags = manifest.metrics, manifest.tags
    offers = (
        f"{told['offers']:,.0f} offers to {told['customers']:,.0f} active customers, {told['held_out']:,.0f} held out "
        f"to measure by; {told['spend_eur']:,.0f} of {told['budget_eur']:,.0f} EUR"
    )
    expected = (
        f"{told['expected_margin_impact_eur']:,.0f} EUR of margin beyond cost, response {tags['response']}, model "
        f"v{tags['model_version']}"
    )
    promised = (
        f"{told['promised_eur']:,.0f} EUR by the whole plan, the held out included; with 90 % probability between "
        f"{told['promised_lo_eur']:,.0f} and {told['promised_hi_eur']:,.0f}"
    )
    return [("offers", offers), ("expected", expected), ("promised", promised)]


def _replayed(manifest: Manifest) -> list[tuple[str, str]]:
    told = manifest.metrics
    if OURS not in told:
        return []
    others = [f"{name} {told[f'{OURS}_{key}']:.0%}" for key, name in RULES.items() if f"{OURS}_{key}" in told]
    lo, hi = told.get(f"{OURS}_lo"), told.get(f"{OURS}_hi")
    interval = f" ({lo:.0%} to {hi:.0%})" if lo is not None and hi is not None else ""
    text = (
        f"by the demo world's true probabilities {told[OURS]:.0%}{interval} of the "
        f"{told['replay_informed_eur']:,.0f} EUR that whoever knows all that is recorded would earn; "
        f"{', '.join(others)}"
    )
    return [("replayed", text)]


def _published(manifest: Manifest) -> str:
    rows = sum(table.rows for table in manifest.tables.values())
    tables = ", ".join(sorted(manifest.tables)) if len(manifest.tables) < SHOWN_TABLES else ""
    return f"{manifest.publication}: {tables or f'{len(manifest.tables)} tables'}, {rows:,} rows"


def _made_by(outcome: Outcome) -> str:
    """The run that has the report: that which made what is published."""
    if outcome.cached and outcome.manifests and outcome.stage != "promote":
        return outcome.manifests[0].run_id
    return outcome.run_id
