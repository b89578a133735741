"""Which figures of a publication are metrics of its run, and which stand in a table beside it.

A page with hundreds of metrics shows none of them. A figure of one thing among many, ``<figure>.<of what>`` as in
``psi.tenure_days``, belongs into a table. The manifest of what is published keeps all of them.
"""

from collections.abc import Mapping

import pandas as pd

MOST = 40
# What every run costs, and whether it had to make anything.
COST = ("seconds", "peak_memory_mib", "cached")
ROWS = "rows_"
# Runs that are compared figure by figure: all of theirs are metrics.
COMPARED = ("train", "promote")
TABLE = "tables/figures.csv"
ENDS_OF_INTERVALS = ("_lo", "_hi")
BETWEEN = "."


def metrics_of(stage: str, figures: Mapping[str, float], room: int = MOST) -> dict[str, float]:
    """The figures that are metrics of a run, in the order in which its page shows them.

    Of too many, ends of intervals go first, then what the stage names last.

    Args:
        stage: Name of the stage.
        figures: All figures, the most telling first.
        room: How many metrics the run may still have.
    """
    # Sizes of tables say least.
    ordered = {name: figures[name] for name in sorted(figures, key=lambda name: name.startswith(ROWS))}
    if stage in COMPARED:
        return ordered
    chosen = {name: value for name, value in ordered.items() if BETWEEN not in name}
    if len(chosen) > room:
        chosen = {name: value for name, value in chosen.items() if not name.endswith(ENDS_OF_INTERVALS)}
    return dict(list(chosen.items())[: max(room, 0)])


def table_of(figures: Mapping[str, float]) -> pd.DataFrame:
    """All figures as a table: figure, of what, value."""
    rows = [(*_parted(name), value) for name, value in figures.items()]
    return pd.DataFrame(rows, columns=["figure", "of", "value"])


def _parted(name: str) -> tuple[str, str]:
    figure, _, of_what = name.partition(BETWEEN)
    return figure, of_what
