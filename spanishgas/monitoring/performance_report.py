"""Performance and business for people: Markdown, and the page that Evidently draws."""

from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from spanishgas.monitoring.performance import (
    ALL,
    ESTIMATED,
    MEASURED,
    MONTH,
    SEGMENT,
    TREATED,
    UNKNOWN,
    UNTREATED,
    Performance,
)
from spanishgas.monitoring.render import Figure, Page, Picture

SHOWN = ("pr_auc", "roc_auc", "recall_at_10", "observed_over_expected", "calibration_slope")
NAMES = {
    "pr_auc": "PR-AUC",
    "roc_auc": "ROC-AUC",
    "recall_at_10": "recall at 10 %",
    "observed_over_expected": "observed over expected",
    "calibration_slope": "calibration slope",
    "ece": "calibration error",
}
WORDS = {"ok": "holds", "alarm": "below its bounds", "unknown": "cannot be told yet"}
PEOPLE = {
    "untreated": "nothing done",
    "never_targeted": "never targeted",
    "held_out": "held out",
    "treated": "offered something",
}


def figures(found: Performance) -> dict[str, float]:
    """Figures for the run: all mature months, and the newest month where it is estimated."""
    told: dict[str, float] = {}
    table = found.table
    whole = table[(table["population"] == UNTREATED) & (table["group"] == ALL) & (table["status"] == MEASURED)]
    for row in whole.itertuples():
        for suffix, value in (("", row.value), ("_lo", row.lo), ("_hi", row.hi)):
            told[f"perf_{row.metric}{suffix}"] = float(value)  # type: ignore[arg-type]
    if len(whole):
        told |= {"perf_rows": float(whole["rows"].iloc[0]), "perf_leavers": float(whole["leavers"].iloc[0])}
    estimated = table[table["status"] == ESTIMATED]
    for row in estimated[estimated["member"] == estimated["member"].max()].itertuples():
        told[f"estimated_{row.metric}"] = float(row.value)
    told["perf_alarms"] = float(len(found.alarms))
    return {name: float(value) for name, value in told.items() if np.isfinite(value)}


def headline(found: Performance) -> str:
    """One line for the terminal."""
    table = found.table
    whole = table[(table["population"] == UNTREATED) & (table["group"] == ALL)].set_index("metric")
    months = table[table["group"] == MONTH]
    estimated = months[months["status"] == ESTIMATED]["member"].nunique()
    mature = months[months["status"] == MEASURED]["member"].nunique()
    if not len(whole) or whole["status"].iloc[0] != MEASURED:
        guess = table[(table["status"] == ESTIMATED) & (table["metric"] == "pr_auc")]
        told = f", PR-AUC estimated at {guess['value'].iloc[-1]:.3f}" if len(guess) else ""
        return f"no mature outcomes to judge by; {estimated} months estimated from the scores{told}"
    parts = [f"{NAMES[name]} {_shown(whole.loc[name])}" for name in ("pr_auc", "observed_over_expected")]
    return f"{', '.join(parts)} over {mature} mature months: {WORDS[found.state]}; {estimated} months estimated"


def render_markdown(found: Performance, business: pd.DataFrame, run_date: date, model: str) -> str:
    """The report `model_perf`.

    Args:
        found: Performance.
        business: The table ``business_months``.
        run_date: The run date.
        model: The champion in words.
    """
    table = found.table
    lines = [f"# Performance on {run_date}: {WORDS[found.state]}", "", _opening(found, model), ""]
    lines += [text for note in found.notes for text in (f"Note: {note}.", "")]
    for population in PEOPLE:
        part = table[table["population"] == population]
        if not len(part):
            continue
        lines += [f"## {PEOPLE[population].capitalize()}", ""]
        if population == TREATED:
            lines += ["Offers are meant to lower what is observed: these figures have no bounds.", ""]
        lines += [_header(), "| --- | --- | ---: | ---: |" + " --- |" * len(SHOWN)]
        for (group, _), rows in part.groupby(["group", "member"], sort=False):
            lines.append(_line(str(group), rows))
        lines.append("")
    alarms = found.alarms
    if len(alarms):
        lines += ["## Beyond the bounds", ""]
        lines += [f"- {sentence(row)}" for _, row in alarms.iterrows()]
        lines.append("")
    if found.left_out:
        lines += ["## Not judged", "", *(f"- {text}" for text in found.left_out), ""]
    return "\n".join(lines + _business(business)) + "\n"


def sentence(row: Any) -> str:
    """A figure beyond its bound, in words."""
    low = pd.notna(row["floor"]) and row["hi"] < row["floor"]
    bound = f"below {row['floor']:.3g}" if low else f"above {row['ceiling']:.3g}"
    where = "all mature months" if row["group"] == ALL else row["label"]
    return f"{NAMES.get(str(row['metric']), row['metric'])} {_shown(row)} of {where} is {bound}"


def page(found: Performance, business: pd.DataFrame, run_date: date, model: str) -> Page:
    """The page for Evidently."""
    table = found.table
    some = table[table["metric"].isin(SHOWN)]
    figures_ = [
        Figure(
            f"{NAMES[row.metric]} of {row.label}, {PEOPLE[row.population]}",  # type: ignore[index]
            None if pd.isna(row.value) else float(row.value),  # type: ignore[arg-type]
            "ok" if row.status == ESTIMATED else str(row.state),
            f"{_words(row)}, {row.rows:,} rows",
        )
        for row in some.itertuples()
    ]
    whole = table[(table["population"] == UNTREATED) & (table["group"] == ALL)].set_index("metric")
    counters = dict(_counter(name, whole) for name in SHOWN[:4])
    months = some[(some["group"] == MONTH) & (some["population"] == UNTREATED)]
    shown = pd.DataFrame(
        {
            "month": months["label"],
            "metric": months["metric"].map(NAMES),
            "value": [_shown(row) for _, row in months.iterrows()],
            "status": months["status"],
            "state": months["state"],
        }
    )
    tables = {"By month, nothing done": shown}
    if len(business):
        tables["Offers by month"] = pd.DataFrame(
            {
                "month": business["month"].dt.strftime("%Y-%m"),
                "offers": business["offers"],
                "held out": business["held_out"],
                "spend EUR": business["spend_eur"].map("{:,.0f}".format),
                "expected EUR": business["expected_margin_eur"].map("{:,.0f}".format),
                "from the hold-out": business["verdict"],
            }
        )
    pictures = [*_over_months(months), *_reliability(found.reliability), *_segments(some)]
    return Page(
        title=f"Performance on {run_date}: {WORDS[found.state]}",
        text="\n\n".join([_opening(found, model), *(f"Note: {text}." for text in (*found.notes, *found.left_out))]),
        counters=counters,
        tables=tables,
        pictures=pictures,
        figures=figures_,
    )


def _opening(found: Performance, model: str) -> str:
    months = found.table[found.table["group"] == MONTH]
    by = months.groupby("member")["status"].agg(lambda told: MEASURED if (told == MEASURED).any() else told.iloc[0])
    counts = {str(status): int(months) for status, months in by.value_counts().items()}
    return (
        f"Published scores beside what happened, {model}. Months measured on mature outcomes: "
        f"{counts.get(MEASURED, 0)}; estimated from the calibrated scores: {counts.get(ESTIMATED, 0)}; with too few to "
        f"tell: {counts.get(UNKNOWN, 0)}. *Nothing done* are customers never targeted and, weighted, those held out: "
        "scores foretell leaving if nothing is done. Intervals are 95 %, by a bootstrap over customers."
    )


def _header() -> str:
    return "| | status | rows | left |" + "".join(f" {NAMES[name]} |" for name in SHOWN)


def _line(group: str, rows: pd.DataFrame) -> str:
    first = rows.iloc[0]
    label = str(first["label"]) if group != SEGMENT else f"segment {first['label']}"
    cells = []
    told = rows.set_index("metric")
    for name in SHOWN:
        mark = " **!**" if name in told.index and told.loc[name, "state"] == "alarm" else ""
        cells.append((_shown(told.loc[name]) if name in told.index else "") + mark)
    left = "" if pd.isna(first["leavers"]) else f"{int(first['leavers']):,}"
    status = MEASURED if (rows["status"] == MEASURED).any() else first["status"]
    return f"| {label} | {status} | {first['rows']:,} | {left} | " + " | ".join(cells) + " |"


def _shown(row: Any) -> str:
    value, lo, hi = row["value"], row["lo"], row["hi"]
    if pd.isna(value):
        return "unknown"
    about = "about " if row["status"] == ESTIMATED else ""
    return f"{about}{value:.3f}" + ("" if pd.isna(lo) else f" ({lo:.3f} to {hi:.3f})")


def _counter(metric: str, whole: pd.DataFrame) -> tuple[str, str]:
    """Label with the interval, and value."""
    if metric not in whole.index or pd.isna(whole.loc[metric, "value"]):
        return NAMES[metric], "unknown"
    row: Any = whole.loc[metric]
    return f"{NAMES[metric]}, {row['lo']:.3f} to {row['hi']:.3f}", f"{row['value']:.3f}"


def _words(row: Any) -> str:
    value, lo, hi = (getattr(row, name) for name in ("value", "lo", "hi"))
    if pd.isna(value):
        return "too few to tell"
    bounds = [
        f"{word} {getattr(row, name):.3g}"
        for word, name in (("at least", "floor"), ("at most", "ceiling"))
        if pd.notna(getattr(row, name))
    ]
    told = f"{row.status} {value:.3f} ({lo:.3f} to {hi:.3f})"
    return f"{told}, needed {' and '.join(bounds)}" if bounds else told


def _over_months(months: pd.DataFrame) -> list[Picture]:
    found = []
    for metric in SHOWN:
        rows = months[(months["metric"] == metric) & months["value"].notna()].sort_values("member")
        if not len(rows):
            continue
        series, bounds = {}, {}
        for status in (MEASURED, ESTIMATED):
            chosen = rows["status"] == status
            if chosen.any():
                series[status] = [None if not ok else value for ok, value in zip(chosen, rows["value"], strict=True)]
                bounds[status] = (rows["lo"].tolist(), rows["hi"].tolist())
        if rows["floor"].notna().any():
            series["floor"] = [None if pd.isna(value) else value for value in rows["floor"]]
        title = f"{NAMES[metric]} by month"
        found.append(Picture(title, rows["label"].tolist(), series, bounds, lines=True, axis=NAMES[metric]))
    return found


def _reliability(table: pd.DataFrame) -> list[Picture]:
    found = []
    for population, rows in table.groupby("population", sort=False):
        places = [f"{predicted:.1%}" for predicted in rows["predicted"]]
        series = {"observed": rows["observed"].tolist(), "predicted": rows["predicted"].tolist()}
        bounds = {"observed": (rows["lo"].tolist(), rows["hi"].tolist())}
        title = f"Reliability, {PEOPLE[str(population)]}"
        found.append(Picture(title, places, series, bounds, lines=True, axis="share that left"))
    return found


def _segments(some: pd.DataFrame) -> list[Picture]:
    rows = some[(some["group"] == SEGMENT) & (some["population"] == UNTREATED) & (some["metric"] == "roc_auc")]
    rows = rows[rows["value"].notna()]
    if not len(rows):
        return []
    series = {"ROC-AUC": rows["value"].tolist()}
    bounds = {"ROC-AUC": (rows["lo"].tolist(), rows["hi"].tolist())}
    return [Picture("ROC-AUC by segment", rows["label"].tolist(), series, bounds, axis="ROC-AUC")]


def _business(business: pd.DataFrame) -> list[str]:
    lines = ["## Offers by month", ""]
    if not len(business):
        return [*lines, "No recommendations are published."]
    lines += [
        "| month | offers | held out | spend EUR | expected EUR | followed days | from the hold-out |",
        "| --- | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    return lines + [
        f"| {pd.Timestamp(row.month):%Y-%m} | {row.offers:,} | {row.held_out:,} | {row.spend_eur:,.0f} | "  # type: ignore[arg-type]
        f"{row.expected_margin_eur:,.0f} | {row.followed_days} | {row.verdict} |"
        for row in business.itertuples()
    ]
