"""A drift comparison for people: Markdown, and the page that Evidently draws."""

import pandas as pd

from spanishgas.monitoring.baseline import RISK
from spanishgas.monitoring.drift import ALARM, DEPENDANT, ROOT, UNKNOWN, Drift
from spanishgas.monitoring.render import MAX_PICTURES, Figure, Page, Picture

SHOWN = 15
STATES = {"ok": "calm", "alarm": "something drifts", "unknown": "cannot tell"}


def headline(drift: Drift) -> str:
    """One line for the terminal."""
    facts, checks = drift.facts, drift.checks
    against = f"{facts.as_of} against {facts.reference_as_of}"
    unknown = int((checks["state"] == UNKNOWN).sum())
    told = f", {unknown} unknown" if unknown else ""
    if drift.state != ALARM:
        return f"{STATES[drift.state]}: {len(checks)} checks of {against}{told}"
    follow = len(drift.alarms) - len(drift.roots)
    more = f" and {len(drift.roots) - 3} more" if len(drift.roots) > 3 else ""
    return f"{', '.join(drift.roots[:3])}{more} drift, {follow} alarms follow; {len(checks)} checks of {against}{told}"


def render_markdown(drift: Drift, model: str) -> str:
    """The report.

    Args:
        drift: The comparison.
        model: The champion in words.
    """
    facts, checks = drift.facts, drift.checks
    lines = [f"# Drift on {facts.run_date}: {STATES[drift.state]}", "", _opening(drift, model), ""]
    alarms = drift.alarms
    if len(alarms):
        lines += [
            "## Alarms",
            "",
            "A root is a cause as far as the figures tell; the others are declared to follow from it.",
            "",
            "| | check | subject | | limit | hangs on | used | |",
            "| --- | --- | --- | ---: | ---: | --- | --- | --- |",
        ]
        lines += [
            f"| {'**root**' if row.role == ROOT else 'follows'} | {row.check} | {row.subject} | {row.value:.3g} | "
            f"{row.limit:g} | {'' if row.role == ROOT else row.root!s} | {'yes' if row.is_used else 'no'} | "
            f"{row.sentence} |"
            for row in alarms.itertuples()
        ]
    unknown = checks[checks["state"] == UNKNOWN]
    if len(unknown):
        lines += ["", "## Unknown", "", "Not calm: too little is there to tell.", ""]
        lines += [f"- {row.check} of `{row.subject}`: {row.sentence}" for row in unknown.itertuples()]
    largest = checks[checks["value"].notna() & (checks["check"] == "distribution")].nlargest(SHOWN, "value")
    lines += ["", "## Largest PSI", "", "| feature | PSI | limit | chance | |", "| --- | ---: | ---: | ---: | --- |"]
    lines += [
        f"| {row.subject} | {row.value:.3f} | {row.limit:g} | {row.p_adjusted:.2g} | {row.state} |"
        for row in largest.itertuples()
    ]
    sources = checks[checks["family"].isin(["source", "table", "prediction"])]
    lines += ["", "## Tables, rows and predictions", "", "| check | subject | | |", "| --- | --- | --- | --- |"]
    lines += [f"| {row.check} | {row.subject} | {row.sentence} | {row.state} |" for row in sources.itertuples()]
    return "\n".join(lines) + "\n"


def page(drift: Drift, model: str) -> Page:
    """The page for Evidently."""
    checks, facts = drift.checks, drift.facts
    figures = [
        Figure(
            f"{row.check} of {row.subject}",
            None if pd.isna(row.value) else float(row.value),  # type: ignore[arg-type]
            str(row.state),
            f"{row.sentence} (limit {row.limit:g})",
            row.role == DEPENDANT,
        )
        for row in checks.itertuples()
    ]
    alarms = drift.alarms
    told = pd.DataFrame(
        {
            "alarm": alarms["check"] + " of " + alarms["subject"],
            "root": ["root" if row.role == ROOT else f"follows {row.root}" for row in alarms.itertuples()],
            "figures": alarms["sentence"],
        }
    )
    every = pd.DataFrame(
        {
            "check": checks["check"] + " of " + checks["subject"],
            "state": checks["state"],
            "figure": checks["value"].map("{:.3f}".format),
            "limit": checks["limit"].map("{:g}".format),
        }
    )
    unknown = checks[checks["state"] == UNKNOWN]
    why = unknown.groupby("sentence", sort=False)["subject"].agg(lambda names: ", ".join(dict.fromkeys(names)))
    text = [_opening(drift, model), *(f"**Unknown**: {names}: {sentence}." for sentence, names in why.items())]
    return Page(
        title=f"Drift on {facts.run_date}: {STATES[drift.state]}",
        text="\n\n".join(text),
        counters={
            "root alarms": str(len(drift.roots)),
            "alarms that follow": str(len(drift.alarms) - len(drift.roots)),
            "unknown": str(len(unknown)),
            "checks": str(len(checks)),
            "mean risk": f"{facts.current[RISK].mean:.2%}",
            "in the baseline": f"{facts.reference[RISK].mean:.2%}",
        },
        tables={"Alarms": told},
        further={"All checks": every},
        pictures=_pictures(drift),
        figures=figures,
    )


def _opening(drift: Drift, model: str) -> str:
    facts = drift.facts
    gap = f", {facts.season_gap} months of the year apart" if facts.season_gap else ", the same month of the year"
    return (
        f"**{facts.current[RISK].rows:,} customers** of {facts.as_of} against {facts.reference[RISK].rows:,} of "
        f"{facts.reference_as_of}{gap}: of the dates that {model} learned from at which a year of history was known, "
        "the one of the nearest season. Features that look back on less are compared with a nearer season where there "
        "is one. An alarm is beyond its limit and beyond chance: with nothing changed, "
        f"{facts.settings.alpha:.0%} of run dates at most have any. {len(drift.roots)} root alarms, "
        f"{len(drift.alarms) - len(drift.roots)} that follow."
    )


def _pictures(drift: Drift) -> list[Picture]:
    """Baseline beside today, the predictions first, then by PSI."""
    judged = drift.checks[drift.checks["check"].isin(["distribution"])]
    order = judged.assign(alarm=judged["state"] == ALARM).sort_values(["alarm", "value"], ascending=False)["subject"]
    found = []
    for subject in [RISK, *order][:MAX_PICTURES]:
        rows = drift.bins[drift.bins["subject"] == subject]
        if len(rows):
            series = {"baseline": rows["reference_share"].tolist(), "today": rows["current_share"].tolist()}
            found.append(Picture(str(subject), rows["label"].tolist(), series))
    return found
