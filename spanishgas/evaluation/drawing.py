"""A figure as a file."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 120


def write_figure(figure: "Figure", file: Path) -> None:
    """Writes a figure, which cannot be laid out anew afterwards.

    Matplotlib would find the layout twice, once before it draws and once while it does, with the same result.

    Args:
        figure: The figure.
        file: Its ending tells the format.
    """
    figure.set_dpi(DPI)
    layout = figure.get_layout_engine()
    if layout is not None:
        layout.execute(figure)
        figure.set_layout_engine(None)
    figure.savefig(file, dpi=DPI)
