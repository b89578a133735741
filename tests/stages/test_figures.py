"""Which figures are metrics of a run: none is lost, and none crowds out what matters."""

import pandas as pd

from spanishgas.stages.figures import MOST, metrics_of, table_of


def test_a_figure_of_one_thing_among_many_stands_in_the_table() -> None:
    figures = {"alarms": 1.0, "psi.tenure_days": 0.2, "psi.risk": 0.1}
    assert metrics_of("drift", figures) == {"alarms": 1.0}
    pd.testing.assert_frame_equal(
        table_of(figures),
        pd.DataFrame(
            [("alarms", "", 1.0), ("psi", "tenure_days", 0.2), ("psi", "risk", 0.1)],
            columns=["figure", "of", "value"],
        ),
    )


def test_of_too_many_intervals_go_first_then_sizes_of_tables_then_the_last() -> None:
    figures = {"rows_table": 5.0, **{f"m{number}{end}": 1.0 for number in range(30) for end in ("", "_lo", "_hi")}}
    chosen = metrics_of("performance", figures)
    assert list(chosen) == [*(f"m{number}" for number in range(30)), "rows_table"]
    assert list(metrics_of("performance", figures, room=10)) == [f"m{number}" for number in range(10)]
    assert metrics_of("performance", figures, room=-1) == {}
    assert len(table_of(figures)) == len(figures)


def test_few_keep_their_intervals_and_compared_runs_keep_all() -> None:
    few = {"m": 1.0, "m_lo": 0.5, "m_hi": 1.5}
    assert metrics_of("measure", few) == few
    many = {f"test_m{number}.x": 1.0 for number in range(3 * MOST)}
    assert metrics_of("train", many) == metrics_of("promote", many) == many
