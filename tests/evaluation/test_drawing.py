"""Figures as files: the same picture as Matplotlib's own, laid out once."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib import image
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from spanishgas.evaluation.drawing import write_figure


def figure(layout: str | None) -> Figure:
    made = Figure(figsize=(6, 3), layout=layout)
    for number, axes in enumerate(made.subplots(1, 2)):
        axes.barh(["a name that is long", "b"], [number + 1, 2], label="one")
        axes.legend()
        axes.set_title("title")
    return made


@pytest.mark.parametrize("layout", ["constrained", None])
def test_a_figure_is_the_one_that_matplotlib_writes_and_is_laid_out_once(
    layout: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figure(layout).savefig(tmp_path / "theirs.png", dpi=120)
    counted: list[Figure] = []
    execute = ConstrainedLayoutEngine.execute
    monkeypatch.setattr(
        ConstrainedLayoutEngine, "execute", lambda engine, fig: (counted.append(fig), execute(engine, fig))
    )
    write_figure(figure(layout), tmp_path / "ours.png")
    ours, theirs = (image.imread(tmp_path / name) for name in ("ours.png", "theirs.png"))
    assert ours.shape == (360, 720, 4)
    assert np.array_equal(ours, theirs)
    assert len(counted) == (layout is not None)
