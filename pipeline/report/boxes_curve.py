"""What annotated boxes of training images are worth: mAP against the share of the images with boxes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pipeline.core.class_groups import FULL
from pipeline.report.number_text import group_title
from pipeline.report.study import Study, by_seed, groups_of, over_seeds
from pipeline.report.table import markdown_table

BOXES_TEXT = (
    "What annotated boxes of training images are worth: test mAP as above by the share of images with boxes. Rows of a "
    "curve have one network; each trains for as many epochs as it has use for (params.yaml)."
)
# Rows by the name of their curve, from no boxes to all.
CURVES = {
    "ours_plus": ("ours_plus", "supervised_5", "supervised_25", "supervised"),
    "mx_hoi_like": ("mx_hoi_like", "mx_hoi_like_25"),
}


def boxes_rows(study: Study) -> list[str]:
    """Rows of all curves that the study has two rows of."""
    return [name for names in _drawn(study).values() for name in names]


def boxes_table(study: Study, shares: Mapping[str, float]) -> str:
    """Markdown table of the curves' rows that the study has; "" unless it has two rows of one.

    Args:
        shares: of the training images with boxes, 0..1, by row.
    """
    rows, groups = [], groups_of(study)
    for curve, names in _drawn(study).items():
        for name in names:
            means = [str(over_seeds(study, name, group)) for group in groups]
            rows.append([curve, name, f"{100 * shares[name]:g} %", str(len(study[name])), *means])
    header = ["curve", "row", "images with boxes", "seeds", *map(group_title, groups)]
    return markdown_table(header, rows, num_text_columns=2) if rows else ""


def boxes_plot(study: Study, shares: Mapping[str, float]) -> bytes:
    """The same as PNG: means over seeds with standard deviations, and a point for each run."""
    import matplotlib  # the tables of `summary` do not wait for it

    from pipeline.report.plotting import STYLE, legend, line_styles, panels, png_of

    curves = _drawn(study)
    styles = line_styles(curves)
    with matplotlib.rc_context(STYLE):
        figure, (panel,) = panels(1, "training images with annotated boxes", width=6.4)
        for curve, names in curves.items():
            x, estimates = [shares[name] for name in names], [over_seeds(study, name, FULL) for name in names]
            mean, spread = [one.mean for one in estimates], np.nan_to_num([one.spread for one in estimates])
            panel.errorbar(x, mean, yerr=spread, capsize=4, marker="o", label=curve, **styles[curve])
            for name in names:
                values = by_seed(study, name, FULL).values()
                panel.scatter([shares[name]] * len(values), list(values), s=12, alpha=0.5, color=styles[curve]["color"])
        panel.set_xscale("symlog", linthresh=0.05)
        ticks = sorted({shares[name] for names in curves.values() for name in names})
        panel.set_xticks(ticks, [f"{100 * share:g} %" for share in ticks], minor=False)
        panel.xaxis.set_minor_locator(matplotlib.ticker.NullLocator())
        panel.set(xlim=(-0.01, 1.15), ylabel=f"{group_title(FULL)} mAP, percent")
        legend(figure, panel)
        return png_of(figure)


def _drawn(study: Study) -> dict[str, list[str]]:
    """Rows of each curve that the study has, of curves with more than their start."""
    found = {curve: [name for name in names if name in study] for curve, names in CURVES.items()}
    return {curve: names for curve, names in found.items() if len(names) > 1}
