"""What the plots of the report share: style, line styles by variant, panels, and bytes without a time or version.

Drawn by matplotlib on figures of their own (no pyplot). Equal input gives equal bytes.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from itertools import cycle
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.report.colors import AXIS, GRID, INK, VARIANTS

_DASHES = ("-", "--", "-.", ":")
STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 10.0,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": AXIS,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlesize": 11.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": INK,
    "ytick.color": INK,
    "lines.linewidth": 2.0,
    "legend.frameon": False,
    "figure.dpi": 120.0,
    "savefig.dpi": 120.0,
    "svg.fonttype": "none",  # letters stay text
    "svg.hashsalt": "weakhoi",  # names inside do not change from run to run
}


def panels(count: int, x_label: str, *, share_y: bool = True, width: float = 3.6) -> tuple[Figure, list[Axes]]:
    """A row of panels, `width` inches each, with room for a legend above."""
    figure = Figure(figsize=(max(5.0, width * count), 3.7), layout="constrained")
    axes = list(figure.subplots(1, count, sharey=share_y, squeeze=False)[0])
    for panel in axes:
        panel.set_xlabel(x_label)
    return figure, axes


def legend(figure: Figure, panel: Axes) -> None:
    """Put the labels of one panel above all panels; none where nothing is labeled."""
    handles, labels = panel.get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside upper left", ncols=min(len(labels), 5))


def line_styles(variants: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Color and dashes of each variant, as `Axes.plot` takes them; the ninth is as the first again."""
    styles = zip(variants, cycle(VARIANTS), cycle(_DASHES), strict=False)
    return {name: {"color": color, "linestyle": dashes} for name, color, dashes in styles}


def png_of(figure: Figure) -> bytes:
    """Encode as PNG without metadata: equal figures give equal bytes."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()


def svg_of(figure: Figure) -> bytes:
    """Encode as SVG without metadata or names of groups: equal figures give equal bytes."""
    stream = io.StringIO()
    figure.savefig(stream, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    return re.sub(r'<g id="[^"]*">', "<g>", stream.getvalue()).encode()
