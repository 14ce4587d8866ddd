"""What each deviation from the official HICO-DET protocol does to mAP, alone, on the same detections.

    python -m benchmarks.deviations --annotations instances_test2015.json

The detections are drawn (`detection_sets.py`), near annotated pairs and elsewhere, so that the effects say how
sensitive a figure is, not what a certain model would gain. They are printed in points of mAP (percent).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks.detection_sets import load_truth, plausible_detections
from benchmarks.measure import json_option, write_report
from pipeline.evaluation.engine import evaluate_hicodet
from pipeline.evaluation.hicodet import SETTINGS, Rules

DEVIATIONS: dict[str, dict[str, Any]] = {
    "overlap above 0.5": {"strict_overlap": True},
    "images without pairs left out": {"counted": "images_with_pairs"},
    "recall levels of torch.linspace": {"interpolation": "both_ends_11_point"},
    "boxes not aligned": {"unaligned_boxes": True},
    "best 100 of an image": {"top_k": 100},
    "first of equal scores of an image": {"distinct_scores": True},
    "pair suppression at 0.7": {"pair_nms": 0.7},
    "classes of the image alone": {"counted": "classes_of_image"},
}


@click.command(help=__doc__)
@click.option("--annotations", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Default: synthetic.")
@json_option
@click.option("--rows", type=int, default=2_000_000, show_default=True, help="Triplets to evaluate.")
@click.option("--seed", type=int, default=0, show_default=True)
def command(annotations: Path | None, output: Path | None, rows: int, seed: int) -> None:
    """Evaluate by every setting and every single deviation, print a table, write the figures."""
    rng = np.random.default_rng(seed)
    world = load_truth(annotations, rng)
    found = plausible_detections(world, rows, rng)
    of_settings = {name: Rules(world.hoi_object_ids, name) for name in SETTINGS}
    of_deviations = {name: Rules(world.hoi_object_ids, changes=changes) for name, changes in DEVIATIONS.items()}
    means = {
        name: 100 * evaluate_hicodet(found, world.truth, rules).mean_ap
        for name, rules in (of_settings | of_deviations).items()
    }
    print(f"{rows:,} triplets, ground truth: {world.source}; mAP, and its difference to default")
    for name, mean in means.items():
        print(f"{name:34} {mean:6.2f} {mean - means['default']:+6.2f}")
    write_report({"rows": rows, "seed": seed, "ground_truth": world.source, "full": means}, output)


if __name__ == "__main__":
    command()
