"""Figures of a score against a number: AP of a class against its training pairs, mAP against weights. PNG bytes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes

from pipeline.report.plotting import STYLE, legend, line_styles, panels, png_of
from pipeline.report.results import DoubleArray, PerClass

_REFERENCE = "#8a8a90"  # color of a line to compare with
_NEVER_SEEN = 0.5  # where a class without training pairs stands on the logarithmic axis


def training_frequency(runs: Mapping[str, PerClass], name: str, other: str | None = None) -> bytes:
    """AP of every class against its number of annotated training pairs, and means of thirds.

    Left: both variants; right: the difference. Classes without ground truth have no AP and are left out.

    Args:
        runs: all variants, so that colors are those of the other figures.
        name, other: the variant, and the one that it is held against; None leaves the difference out.
    """
    styles = line_styles(runs)
    instances = np.maximum(runs[name].train_instances, _NEVER_SEEN)
    with matplotlib.rc_context(STYLE):
        figure, axes = panels(2 if other else 1, "annotated training pairs of the class", share_y=False, width=5.2)
        for variant, marker in ((other, "o"), (name, "D")):
            if variant is not None:
                _scatter(axes[0], runs[variant], runs[variant].ap, variant, marker, styles[variant])
        axes[0].set(title="AP by class", ylabel="AP, percent", ylim=(-2, 102))
        if other:
            gain = runs[name].ap - runs[other].ap
            _scatter(axes[1], runs[name], gain, None, "D", styles[name])
            axes[1].axhline(0, color=_REFERENCE, linewidth=1)
            axes[1].set(title=f"{name} minus {other}", ylabel="AP, points")
        for panel in axes:
            panel.set(xscale="log", xlim=(0.8 * instances.min(), 1.25 * instances.max()))
        legend(figure, axes[0])
        return png_of(figure)


def _scatter(
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
        return png_of(figure)
