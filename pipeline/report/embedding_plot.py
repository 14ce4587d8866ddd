"""t-SNE pictures of HOI classes as PNG bytes: a hue per object category, a shade and a marker per verb.

Axes have no ticks, for t-SNE's have no unit.
"""

from __future__ import annotations

import colorsys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from pipeline.core.types import IntArray
from pipeline.core.vocabulary import Vocabulary
from pipeline.report.colors import FAINT, OBJECTS
from pipeline.report.plotting import STYLE, png_of

_MARKERS = ("o", "^", "s", "D", "v", "P", "X", "<", ">", "p", "h", "*")
_STYLE = STYLE | {
    "font.size": 9.0,
    "axes.titlesize": 10.5,
    "axes.grid": False,
    "axes.spines.top": True,
    "axes.spines.right": True,
    "figure.dpi": 110.0,
    "savefig.dpi": 110.0,
}
_MOST_NAMED_POINTS = 60  # above, names would be unreadable
_PANEL = 4.6  # inches


@dataclass(frozen=True)
class EmbeddedPoints:
    """One panel: places [n, 2] in the plane, their HOI classes int64 [n], and the text below the panel."""

    places: NDArray[np.float64]
    hoi_ids: IntArray
    note: str


@dataclass(frozen=True)
class _Look:
    color: tuple[float, float, float]
    marker: str


def draw_embedding(panels: Mapping[str, EmbeddedPoints], vocabulary: Vocabulary, *, named: bool) -> bytes:
    """Panels side by side with one legend.

    Args:
        panels: by title.
        named: write each point's verb beside it where there is room for that (one point per class).
    """
    shown = np.unique(np.concatenate([panel.hoi_ids for panel in panels.values()]))
    looks = class_looks(vocabulary)
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(_PANEL * len(panels), _PANEL + 1.9), layout="constrained")
        axes_row = figure.subplots(1, len(panels), squeeze=False)[0]
        for axes, (title, panel) in zip(axes_row, panels.items(), strict=True):
            _draw_panel(axes, panel, looks)
            axes.set_title(title)
            axes.set_xlabel(panel.note, color=FAINT, loc="left", fontsize=8.5)
            if named and len(panel.places) <= _MOST_NAMED_POINTS:
                _name_points(axes, panel, vocabulary, looks)
        _legend(figure, shown, vocabulary, looks)
        return png_of(figure)


def class_looks(vocabulary: Vocabulary) -> list[_Look]:
    """Color and marker of each HOI class: hue by object category, shade and marker by the verb's rank within it."""
    object_ids = vocabulary.hoi_object_ids.tolist()
    objects, looks = list(dict.fromkeys(object_ids)), []
    for hoi_id, object_id in enumerate(object_ids):
        rank = object_ids[:hoi_id].count(object_id)
        hue = _hue(objects.index(object_id), len(objects))
        looks.append(_Look(_shade(hue, rank, object_ids.count(object_id)), _MARKERS[rank % len(_MARKERS)]))
    return looks


def _hue(index: int, count: int) -> tuple[float, float, float]:
    if count <= len(OBJECTS):
        return to_rgb(OBJECTS[index])
    return colorsys.hsv_to_rgb(index / count, 0.85, 0.75 if index % 2 else 0.95)


def _shade(color: tuple[float, float, float], rank: int, count: int) -> tuple[float, float, float]:
    """From darker to lighter with the rank; black hides a hue sooner than white does."""
    amount = (0.8 * rank / (count - 1) - 0.3) if count > 1 else 0.0  # -0.3 .. 0.5
    target = 1.0 if amount > 0 else 0.0
    red, green, blue = (part + (target - part) * abs(amount) for part in color)
    return red, green, blue


def _draw_panel(axes: Axes, panel: EmbeddedPoints, looks: list[_Look]) -> None:
    size = 20 if len(panel.places) > _MOST_NAMED_POINTS else 46
    for hoi_id in np.unique(panel.hoi_ids).tolist():
        x, y = panel.places[panel.hoi_ids == hoi_id].T
        look = looks[hoi_id]
        axes.scatter(x, y, s=size, color=[look.color], marker=look.marker, linewidths=0.4, edgecolors="white", zorder=2)
    axes.set(xticks=[], yticks=[])
    axes.margins(0.08)


def _name_points(axes: Axes, panel: EmbeddedPoints, vocabulary: Vocabulary, looks: list[_Look]) -> None:
    halo = [patheffects.withStroke(linewidth=2.2, foreground="white")]
    for place, hoi_id in zip(panel.places, panel.hoi_ids.tolist(), strict=True):
        dark = tuple(0.75 * part for part in looks[hoi_id].color)
        style: Any = {"ha": "center", "fontsize": 6.8, "color": dark, "path_effects": halo, "zorder": 3}
        axes.annotate(_verb(vocabulary, hoi_id), place, xytext=(0, 5), textcoords="offset points", **style)


def _legend(figure: Figure, shown: IntArray, vocabulary: Vocabulary, looks: list[_Look]) -> None:
    """A column per object category with its verbs; with many categories, their names and hues alone."""
    objects = list(dict.fromkeys(vocabulary.hoi_object_ids[shown].tolist()))
    members = [[hoi for hoi in shown.tolist() if vocabulary.hoi_object_ids[hoi] == object_id] for object_id in objects]
    names = [_words(vocabulary.objects[object_id]) for object_id in objects]
    if len(objects) > len(OBJECTS):
        handles = [_mark(looks[group[len(group) // 2]], "o") for group in members]
        figure.legend(handles, names, loc="outside lower left", ncols=8, fontsize=7)
        return
    rows, handles, labels = max(map(len, members)), [], []
    for name, group in zip(names, members, strict=True):
        blank = [Line2D([], [], linestyle="")]
        verbs = [_verb(vocabulary, hoi_id) for hoi_id in group]
        handles += blank + [_mark(looks[hoi]) for hoi in group] + blank * (rows - len(group))
        labels += [name, *verbs, *[""] * (rows - len(group))]
    legend = figure.legend(
        handles, labels, loc="outside lower left", ncols=len(objects), fontsize=8, handletextpad=0.2, columnspacing=1.2
    )
    for heading in legend.get_texts()[:: rows + 1]:
        heading.set_fontweight("bold")


def _mark(look: _Look, marker: str | None = None) -> Line2D:
    return Line2D([], [], linestyle="", marker=marker or look.marker, color=look.color, markersize=5.5)


def _verb(vocabulary: Vocabulary, hoi_id: int) -> str:
    return _words(vocabulary.verbs[vocabulary.hoi_verb_ids[hoi_id]])


def _words(name: str) -> str:
    return name.replace("_", " ")
