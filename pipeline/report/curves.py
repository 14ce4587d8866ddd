"""Figures of one kind of record each: precision against recall, training, AP by class. PNG bytes."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from pipeline.core.class_groups import FULL
from pipeline.core.types import IntArray
from pipeline.report.number_text import group_title
from pipeline.report.plotting import STYLE, legend, line_styles, panels, png_of
from pipeline.report.results import DoubleArray, PerClass

_MARKERS = ("D", "o", "s", "^", "v")  # of groups of classes
_MOST_NAMED_CLASSES = 60  # above, names would be unreadable


def precision_recall(curves: Mapping[str, Mapping[str, tuple[DoubleArray, DoubleArray]]]) -> bytes:
    """Mean precision against recall.

    Args:
        curves: by variant, by group of classes: recall and precision, 0..1.
    """
    groups = list(dict.fromkeys(name for by_group in curves.values() for name in by_group)) or [FULL]
    styles = line_styles(curves)
    with matplotlib.rc_context(STYLE):
        figure, axes = panels(len(groups), "recall")
        for panel, group in zip(axes, groups, strict=True):
            for variant, by_group in curves.items():
                if group in by_group:
                    panel.plot(*by_group[group], label=variant, **styles[variant])
            panel.set(title=group_title(group), xlim=(0, 1), ylim=(0, 1))
        axes[0].set_ylabel("precision, mean over classes")
        legend(figure, axes[0])
        return png_of(figure)


def training(logs: Mapping[str, Mapping[str, DoubleArray]]) -> bytes:
    """Loss terms against the epoch: running means, with the raw values behind them.

    Args:
        logs: by variant: epoch, total "loss" and the method's own loss terms of each iteration, none without epochs.
    """
    terms = list(dict.fromkeys(["loss", *(term for log in logs.values() for term in log if term != "epoch")]))
    styles = line_styles(logs)
    with matplotlib.rc_context(STYLE):
        figure, axes = panels(len(terms), "epoch", share_y=False)
        for panel, term in zip(axes, terms, strict=True):
            top = 0.0
            for variant, log in logs.items():
                if not len(log.get(term, ())):
                    continue
                smooth = running_mean(log[term], _window(log["epoch"]))
                panel.plot(log["epoch"], log[term], color=styles[variant]["color"], linewidth=0.6, alpha=0.25)
                panel.plot(log["epoch"], smooth, label=variant, **styles[variant])
                top = max(top, float(np.nanmax(smooth[len(smooth) // 50 :])))
            panel.set(title="total" if term == "loss" else term, ylim=(0, 1.15 * top or 1.0))
            panel.set_xlim(left=0)
        axes[0].set_ylabel("loss, mean over 1/4 epoch")
        legend(figure, axes[0])
        return png_of(figure)


def running_mean(values: DoubleArray, window: int) -> DoubleArray:
    """Mean of the last `window` values, of as many as there are at the start, float64 [n]."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    stop = np.arange(1, len(values) + 1)
    start = np.maximum(stop - window, 0)
    return (sums[stop] - sums[start]) / (stop - start)


def per_class(runs: Mapping[str, PerClass], name: str, other: str | None = None) -> bytes:
    """AP of every class of one variant, best first, against another's; a marker for each group of classes.

    Classes without ground truth have no AP and are left out. Names are printed where there is room for them.

    Args:
        runs: all variants, so that colors are those of the other figures.
        name, other: the variant that sorts the classes, and the one that it is held against.
    """
    first, styles = runs[name], line_styles(runs)
    order = np.argsort(-np.nan_to_num(first.ap, nan=-1.0), kind="stable")
    order = order[~np.isnan(first.ap[order])]
    named = len(order) <= _MOST_NAMED_CLASSES
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(8.5, 1.6 + 0.21 * len(order)) if named else (11.5, 4.5), layout="constrained")
        axes = figure.add_subplot()
        place = np.arange(len(order))
        if other is not None:
            second = runs[other].ap[order]
            _span(axes, place, first.ap[order], second, named)
            _scatter(axes, place, second, named, color=styles[other]["color"], marker="o", label=other)
        for marker, (group, classes) in zip(cycle(_MARKERS), _apart(first).items(), strict=False):
            if (members := classes[order]).any():
                label = f"{name}, {group_title(group).lower()}" if group else name
                marks = {"color": styles[name]["color"], "marker": marker, "label": label}
                _scatter(axes, place[members], first.ap[order][members], named, **marks)
        _class_axes(axes, [first.names[row].replace("_", " ") for row in order], named)
        if len(order):
            figure.legend(loc="outside upper left", ncols=3)
        return png_of(figure)


def _scatter(axes: Axes, place: IntArray, ap: DoubleArray, named: bool, **marks: str) -> None:
    x, y = (ap, place) if named else (place, ap)
    size = 34 if named else 12
    axes.scatter(x, y, s=size, zorder=3, linewidths=0.6, edgecolors="white", **marks)  # type: ignore[arg-type]


def _span(axes: Axes, place: IntArray, first: DoubleArray, second: DoubleArray, named: bool) -> None:
    """A thin line from the one variant's AP to the other's."""
    draw = axes.hlines if named else axes.vlines
    draw(place, np.fmin(first, second), np.fmax(first, second), color="#c9c9cf", linewidth=1.6, zorder=2)


def _apart(classes: PerClass) -> dict[str, NDArray[np.bool_]]:
    """Each class in the first group that holds it, bool [H] by group; those of none under no name."""
    left, apart = np.ones(len(classes.ap), np.bool_), {}
    for name, members in classes.groups.items():
        apart[name] = members & left
        left &= ~members
    return {**apart, "": left}


def _class_axes(axes: Axes, names: list[str], named: bool) -> None:
    if not named:
        axes.set(xlabel="HOI classes, best first", ylabel="AP, percent", ylim=(0, 101), xlim=(-1, len(names)))
        return
    axes.set(xlabel="AP, percent", xlim=(-1, 101), ylim=(len(names) - 0.4, -0.6))
    axes.set_yticks(np.arange(len(names)), names, fontsize=9)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)


def _window(epochs: DoubleArray) -> int:
    """Iterations in a quarter of an epoch, at least 1."""
    span = float(epochs[-1] - epochs[0])
    return max(1, round(len(epochs) / span / 4)) if span > 0 else 1
