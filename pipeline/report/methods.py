"""Methods side by side: mAP over seeds, the figure that was published, and what training and inference cost.

Costs come from `benchmarks.methods` as `costs.csv`, one row a variant: `parameters`, those that are `trained`,
`images_per_second` of training steps, and `inference_ms` per image. Figures of one file are of one machine and run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.core.class_groups import FULL
from pipeline.report.number_text import MISSING, group_title, percent
from pipeline.report.results import numbers, read_columns
from pipeline.report.study import Study, groups_of, over_seeds
from pipeline.report.table import markdown_table

METHODS_TEXT = (
    "Methods: test mAP as above beside the published figure, which is HICO-DET's. Costs are of one run of "
    "`python -m benchmarks.methods` on one machine; a dash: not measured, or not trained."
)
COST_COLUMNS = ("parameters", "trained", "images_per_second", "inference_ms")
Costs = Mapping[str, Mapping[str, float]]  # by variant and column


@dataclass(frozen=True)
class Published:
    """Full mAP on HICO-DET, default setting, percent; None where none is known. `source` says by whom, and with what.

    `row` is the variant that is the method, or the reconstruction of it, here.
    """

    row: str
    full: float | None
    source: str


PUBLISHED = (
    Published("abl1", 11.84, "ICLR 2023 paper, Table 3 (CLIP RN50)"),
    Published("ppr_fcn", 17.55, "ICLR 2023 paper, Table 1 (RN50)"),
    Published("explanation_hoi", 10.63, "ICLR 2023 paper, Table 1 (ResNeXt101), evaluated again"),
    Published("mx_hoi_like", 16.14, "ICLR 2023 paper, Table 1 (RN101); here a reconstruction"),
    Published("alignformer_like", 20.85, "ICLR 2023 paper, Table 1 (RN101, DETR); here a reconstruction"),
    Published("baseline", 19.52, "ICLR 2023 paper, Table 2 (CLIP RN50)"),
    Published("ours", 22.89, "ICLR 2023 paper, Table 1 (CLIP RN50)"),
    Published("regformer", 25.08, "RegFormer, CVPR 2026 (RN50, Faster R-CNN), as quoted elsewhere"),
    Published("ours_plus", None, "of this project"),
    Published("supervised", None, "of this project: boxes of all training images"),
)


def read_costs(path: Path) -> Costs:
    """Read `costs.csv`; empty where nothing was measured.

    Raises:
        ArtifactError: not such a file.
    """
    if not path.exists():
        return {}
    remedy = "run python -m benchmarks.methods --write"
    columns = read_columns(path, ("variant", *COST_COLUMNS), remedy)
    values = {name: numbers(path, columns[name], remedy) for name in COST_COLUMNS}
    return {
        row: {name: float(values[name][index]) for name in COST_COLUMNS} for index, row in enumerate(columns["variant"])
    }


def methods_table(study: Study, costs: Costs) -> str:
    """Markdown table of the methods that the study has, in the order of `PUBLISHED`; "" where it has none."""
    groups = groups_of(study)
    rows = []
    for method in PUBLISHED:
        if method.row in study:
            means = [str(over_seeds(study, method.row, group)) for group in groups]
            cost = costs.get(method.row, {})
            rows.append(
                [method.row, method.source, percent(method.full), str(len(study[method.row])), *means, *_cells(cost)]
            )
    header = ["method", "published in", f"published: {group_title(FULL)}", "seeds", *map(group_title, groups)]
    header += ["parameters, millions", "trained, millions", "training images/s", "inference ms/image"]
    return markdown_table(header, rows, num_text_columns=2) if rows else ""


def _cells(cost: Mapping[str, float]) -> list[str]:
    scales = {"parameters": 1e-6, "trained": 1e-6, "images_per_second": 1.0, "inference_ms": 1.0}
    values = {name: cost.get(name, np.nan) * scale for name, scale in scales.items()}
    return [MISSING if np.isnan(value) else f"{value:.3g}" for value in values.values()]
