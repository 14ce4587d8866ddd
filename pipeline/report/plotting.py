"""What the plots of the report share: style, colours by variant, panels, and PNG bytes without a clock time or version.

Drawn by matplotlib on figures of their own (no pyplot). Colours are Okabe and Ito's, which stay apart for colour-blind
readers; line styles differ as well. Equal input gives equal bytes.
"""

from __future__ import annotations

import io
from itertools import cycle
from typing import Any

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#7F7F7F", "#000000")
_DASHES = ("-", "--", "-.", ":")
_INK = "#1c1c1e"
GROUPS = {"full": "Full: all classes", "rare": "Rare", "non_rare": "Non-rare"}  # of classes, as the protocol has them
STYLE: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 10.0,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": "#b8b8be",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.titlesize": 11.0,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "grid.color": "#e6e6ea",
    "grid.linewidth": 0.8,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "lines.linewidth": 2.0,
    "legend.frameon": False,
    "figure.dpi": 120.0,
    "savefig.dpi": 120.0,
}


def panels(count: int, x_label: str, *, share_y: bool = True, width: float = 3.6) -> tuple[Figure, list[Axes]]:
    """A row of panels, `width` inches each, with room for a legend above."""
    figure = Figure(figsize=(max(5.0, width * count), 3.7), layout="constrained")
    FigureCanvasAgg(figure)
    axes = list(figure.subplots(1, count, sharey=share_y, squeeze=False)[0])
    for panel in axes:
        panel.set_xlabel(x_label)
    return figure, axes


def legend(figure: Figure, panel: Axes) -> None:
    """Put the labels of one panel above all panels; none where nothing is labelled."""
    handles, labels = panel.get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside upper left", ncols=min(len(labels), 5))


def line_styles() -> cycle[tuple[str, str]]:
    """Colour and dashes of the first variant, the second, and so on."""
    styles = [(color, _DASHES[index % len(_DASHES)]) for index, color in enumerate(PALETTE)]
    return cycle(styles)


def png_of(figure: Figure) -> bytes:
    """Encode as PNG without metadata: equal figures give equal bytes."""
    stream = io.BytesIO()
    figure.savefig(stream, format="png", metadata={"Software": None})
    return stream.getvalue()
