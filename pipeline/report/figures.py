"""The plots of the report: precision against recall, training, AP against training pairs, weights. SVG."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes

from pipeline.core.class_groups import FULL
from pipeline.report.colors import AXIS
from pipeline.report.number_text import group_title
from pipeline.report.plotting import STYLE, legend, line_styles, panels, svg_of
from pipeline.report.results import DoubleArray, PerClass

_MOST_POINTS = 400  # of a training curve: more would make the page large, and show nothing
_NEVER_SEEN = 0.5  # where a class without training pairs stands on the logarithmic axis


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
        return svg_of(figure)


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
                some = slice(None, None, -(-len(smooth) // _MOST_POINTS))
                color = styles[variant]["color"]
                panel.plot(log["epoch"][some], log[term][some], color=color, linewidth=0.6, alpha=0.25)
                panel.plot(log["epoch"][some], smooth[some], label=variant, **styles[variant])
                top = max(top, float(np.nanmax(smooth[len(smooth) // 50 :])))
            panel.set(title="total" if term == "loss" else term, ylim=(0, 1.15 * top or 1.0))
            panel.set_xlim(left=0)
        axes[0].set_ylabel("loss, mean over 1/4 epoch")
        legend(figure, axes[0])
        return svg_of(figure)


def running_mean(values: DoubleArray, window: int) -> DoubleArray:
    """Mean of the last `window` values, of as many as there are at the start, float64 [n]."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    stop = np.arange(1, len(values) + 1)
    start = np.maximum(stop - window, 0)
    return (sums[stop] - sums[start]) / (stop - start)


def _window(epochs: DoubleArray) -> int:
    """Iterations in a quarter of an epoch, at least 1."""
    span = float(epochs[-1] - epochs[0])
    return max(1, round(len(epochs) / span / 4)) if span > 0 else 1


def training_frequency(runs: Mapping[str, PerClass], name: str, other: str | None = None) -> bytes:
    """AP of every class against its number of annotated training pairs, and means of thirds.

    Left: both variants; right: the difference. Classes without ground truth have no AP and are left out.

    Args:
        runs: all variants, so that colors are those of the other figures.
        name, other: the variant, and the one to compare with; without it there is no difference.
    """
    styles = line_styles(runs)
    instances = np.maximum(runs[name].train_instances, _NEVER_SEEN)
    with matplotlib.rc_context(STYLE):
        figure, axes = panels(2 if other else 1, "annotated training pairs of the class", share_y=False, width=5.2)
        for variant, marker in ((other, "o"), (name, "D")):
            if variant is not None:
                _points_and_thirds(axes[0], runs[variant], runs[variant].ap, variant, marker, styles[variant])
        axes[0].set(title="AP by class", ylabel="AP, percent", ylim=(-2, 102))
        if other:
            gain = runs[name].ap - runs[other].ap
            _points_and_thirds(axes[1], runs[name], gain, None, "D", styles[name])
            axes[1].axhline(0, color=AXIS, linewidth=1)
            axes[1].set(title=f"{name} minus {other}", ylabel="AP, points")
        for panel in axes:
            panel.set(xscale="log", xlim=(0.8 * instances.min(), 1.25 * instances.max()))
        legend(figure, axes[0])
        return svg_of(figure)


def _points_and_thirds(
    panel: Axes, classes: PerClass, values: DoubleArray, label: str | None, marker: str, style: dict[str, Any]
) -> None:
    """Points, and the mean of each third of the classes by training pairs as a line."""
    known = np.flatnonzero(~np.isnan(values))
    x, y = np.maximum(classes.train_instances[known], _NEVER_SEEN), values[known]
    marks = {"color": style["color"], "marker": marker, "label": label}
    panel.scatter(x, y, s=22, alpha=0.75, linewidths=0.4, edgecolors="white", **marks)
    panel.plot(*thirds(x, y), marker="s", markersize=4, **style)


def thirds(x: DoubleArray, y: DoubleArray) -> tuple[DoubleArray, DoubleArray]:
    """Cut points into three groups of equal count by x: geometric mean of x and mean of y of each, float64 [<= 3]."""
    groups = [part for part in np.array_split(np.argsort(x, kind="stable"), 3) if len(part)]
    return (
        np.array([np.exp(np.log(x[part]).mean()) for part in groups]),
        np.array([y[part].mean() for part in groups]),
    )


def weight_sweeps(runs: Mapping[str, Mapping[str, Mapping[str, DoubleArray]]]) -> bytes:
    """The mAP over all classes against the weight of each factor, a panel a factor; a ring marks the params' own value.

    Args:
        runs: by variant and factor, as `results.read_weight_sweep` returns it.
    """
    factors = list(dict.fromkeys(name for sweeps in runs.values() for name in sweeps)) or ["detector"]
    styles = line_styles(runs)
    with matplotlib.rc_context(STYLE):
        figure, axes = panels(len(factors), "weight", share_y=False)
        for panel, factor in zip(axes, factors, strict=True):
            for variant, sweeps in runs.items():
                if (sweep := sweeps.get(factor)) is None:
                    continue
                x, y, own = sweep["weight"], sweep["full"], sweep["chosen"] > 0
                panel.plot(x, y, marker=".", markersize=5, label=variant, **styles[variant])
                ring = {"color": styles[variant]["color"], "fillstyle": "none", "markeredgewidth": 1.6}
                panel.plot(x[own], y[own], "o", markersize=10, **ring)
            panel.set(title=factor)
        axes[0].set_ylabel("mAP, percent")
        legend(figure, axes[factors.index("detector")] if "detector" in factors else axes[0])
        return svg_of(figure)
