"""HICO-DET and V-COCO from download to mAP: every stage, real architectures, random weights.

The folders hold a few real annotations with generated pictures, so the scores mean nothing; that each stage takes what
the one before it wrote, at the real sizes of vocabulary and networks, is what the tests beside this file show.
"""

from __future__ import annotations

import json
from pathlib import Path

from tests.clones import copy_repository, run_in, set_params
from tests.real_weights import save_random_detector
from tests.roots import edit_params, one_epoch
from tests.small_model import METHODS

SEEN = ("person", "bicycle", "skateboard", "knife")  # by the random detectors
ROWS = {  # a row of each further method
    "clip_zero_shot": "abl1", "ppr_fcn": "ppr_fcn", "prompt_classifier": "abl4", "explanation_hoi": "explanation_hoi",
    "mx_hoi_like": "mx_hoi_like_25", "alignformer_like": "alignformer_like", "regformer": "regformer",
    "bilevel_boxes": "supervised", "bilevel": "ours_plus",
}  # fmt: skip
VIT, LARGE_VIT = "vit_b16", "vit_l14_336"  # rows of a CLIP with a vision transformer
DINOV2 = ("regformer_dinov2", "ours_dinov2")
CALLS = """
import json, sys
from stages.cli import main
for call in json.loads(sys.argv[1]):
    print(*call, flush=True)
    main([*call, "--dataset", sys.argv[2]], standalone_mode=False)
"""


def reduced_copy(folder: Path, dataset: str, download: Path, weights: Path, clip: str, detector: str) -> Path:
    """The repository with one dataset, one variant, one epoch; all else as params.yaml has it for that dataset."""
    copy_repository(folder)

    def edit(document):
        one_epoch(document)
        document.update(datasets=[dataset], run_variants=["ours"])
        for row, name in ((VIT, "ViT-B-16"), (DINOV2[0], "ViT-B-16"), (LARGE_VIT, "ViT-L-14-336px")):
            document["variants"][row]["model"]["clip"] = str(weights / f"{name}.pt")
        for row in DINOV2:
            document["variants"][row]["model"].setdefault("dinov2", {})["weights"] = str(weights / "dinov2")

    edit_params(folder, edit)
    detector_file = save_random_detector(weights / f"{detector}.pt", detector, seen=SEEN)
    detect = {"weights": str(detector_file), "max_per_image": 8, "score_threshold": 0.01, "batch_size": 2}
    set_params(
        folder,
        dataset,
        prepare={"source": str(download)},
        clip={"weights": str(weights / f"{clip}.pt")},
        detect={"detector": detector, **detect},
        model={"image_size": 224, "clip_resnet": {"last_stride": 32}},
        train={"epochs": 1, "batch_size": 6, "num_workers": 0},
        report={"num_images": 1},
    )
    return folder


def run_rows(folder: Path, dataset: str, photos: Path, *further: str, predicting: tuple[str, ...]) -> None:
    """A row of each method, and further ones, through train, infer and evaluate, in one process, which starts once."""
    assert set(ROWS) == set(METHODS)
    rows = (*ROWS.values(), *further)
    stages = [[stage, "--variant", row] for row in rows for stage in ("train", "infer", "evaluate")]
    of_two = ["predict", *map(str, sorted(photos.iterdir())[:2]), "--threshold", "0"]
    predict = [[*of_two, "--variant", row, "--json", f"{row}.json"] for row in predicting]
    run_in(folder, "python", "-c", CALLS, json.dumps([["label-pairs"], *stages, *predict]), dataset)
    for row in rows:
        metrics = json.loads((folder / f"results/{dataset}/{row}.json").read_text())
        assert metrics["counts"]["detections"] > 0 and 0 <= metrics["full"] <= 100
    for row in predicting:
        assert any(image["detections"] for image in json.loads((folder / f"{row}.json").read_text())["images"])
    inputs = inputs_of(folder, dataset, "regformer")
    assert not any("proposals" in path for path in inputs)


def inputs_of(folder: Path, dataset: str, row: str) -> dict[str, str]:
    """What a row was trained from, with digests."""
    return json.loads((folder / f"manifests/{dataset}/runs/train-{row}.json").read_text())["inputs"]
