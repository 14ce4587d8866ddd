"""HICO-DET and V-COCO from download to mAP: every stage through `dvc repro`, real architectures, random weights.

The folders hold a few real annotations with generated pictures, so the scores mean nothing; that each stage takes what
the one before it wrote, at the real sizes of vocabulary and networks, is what these tests show.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.clones import copy_repository, run_in, set_params
from tests.downloads import hicodet_download, vcoco_download
from tests.real_weights import VIT_B16, save_random_clip, save_random_detector
from tests.roots import edit_params
from tests.small_dinov2 import VIT_S14, random_dinov2, save_dinov2
from tests.small_model import METHODS

pytestmark = pytest.mark.slow
SEEN = ("person", "bicycle", "skateboard", "knife")  # by the random detectors
ROWS = {  # a row of each further method
    "clip_zero_shot": "abl1", "ppr_fcn": "ppr_fcn", "prompt_classifier": "abl4", "explanation_hoi": "explanation_hoi",
    "mx_hoi_like": "mx_hoi_like_25", "alignformer_like": "alignformer_like", "regformer": "regformer",
    "bilevel_boxes": "supervised", "bilevel": "ours_plus",
}  # fmt: skip
VIT = "vit_b16"  # the row of a CLIP with a vision transformer
DINOV2 = ("regformer_dinov2", "ours_dinov2")
CALLS = """
import json, sys
from stages.cli import main
for call in json.loads(sys.argv[1]):
    print(*call, flush=True)
    main([*call, "--dataset", sys.argv[2]], standalone_mode=False)
"""


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    """Folder of CLIPs of the real sizes; named by their paths, since they are not OpenAI's."""
    folder = tmp_path_factory.mktemp("weights")
    save_random_clip(folder / "ViT-B-16.pt", VIT_B16)
    return save_random_clip(folder / "RN50.pt").parent


def reduced_copy(folder: Path, dataset: str, download: Path, weights: Path, detector: str) -> Path:
    """The repository with one dataset, one variant, one epoch; all else as params.yaml has it for that dataset."""
    copy_repository(folder)

    def one_epoch(document):
        document.update(datasets=[dataset], run_variants=["ours"])
        for row in (*ROWS.values(), VIT, *DINOV2):
            document["variants"][row]["train"]["epochs"] = min(1, document["variants"][row]["train"].get("epochs", 1))
        for row in (VIT, DINOV2[0]):
            document["variants"][row]["model"]["clip"] = str(weights / "ViT-B-16.pt")
        for row in DINOV2:
            document["variants"][row]["model"].setdefault("dinov2", {})["weights"] = str(weights / "dinov2")

    edit_params(folder, one_epoch)
    detector_file = save_random_detector(weights / f"{detector}.pt", detector, seen=SEEN)
    detect = {"weights": str(detector_file), "max_per_image": 8, "score_threshold": 0.01, "batch_size": 2}
    set_params(
        folder,
        dataset,
        prepare={"source": str(download)},
        clip={"weights": str(weights / "RN50.pt")},
        detect={"detector": detector, **detect},
        model={"image_size": 224, "clip_resnet": {"last_stride": 32}},
        train={"epochs": 1, "batch_size": 6, "num_workers": 0},
        report={"num_images": 4},
    )
    return folder


def run_every_method(folder: Path, dataset: str, photos: Path, *further: str) -> None:
    """Take a row of each method through all commands, in one process, which starts for all of them once."""
    assert set(ROWS) == set(METHODS)
    run_rows(folder, dataset, [["label-pairs"]], [*ROWS.values(), *further], photos)
    inputs = json.loads((folder / f"manifests/{dataset}/runs/train-regformer.json").read_text())["inputs"]
    assert not any("proposals" in path for path in inputs)


def run_rows(folder: Path, dataset: str, calls: list[list[str]], rows: Iterable[str], photos: Path) -> None:
    """Further commands, then train, infer, evaluate and predict by each row."""
    stages = [[stage, "--variant", row] for row in rows for stage in ("train", "infer", "evaluate")]
    predict = [["predict", str(photos), "--variant", row, "--threshold", "0", "--json", f"{row}.json"] for row in rows]
    calls = [*calls, *stages, *predict]
    run_in(folder, sys.executable, "-c", CALLS, json.dumps(calls), dataset)
    for row in rows:
        assert any(image["detections"] for image in json.loads((folder / f"{row}.json").read_text())["images"])
        metrics = json.loads((folder / f"results/{dataset}/{row}.json").read_text())
        assert metrics["counts"]["detections"] > 0 and 0 <= metrics["full"] <= 100


def test_hicodet(tmp_path, weights):
    download = hicodet_download(tmp_path / "hico_20160224_det", 16, 8)
    folder = reduced_copy(tmp_path / "copy", "hicodet", download, weights, "fasterrcnn_resnet50_fpn")
    done = run_in(folder, "dvc", "repro")
    metrics = json.loads((folder / "results/hicodet/ours.json").read_text())
    assert metrics["counts"] | {"images": 8, "hoi_classes": 600} == metrics["counts"]
    assert metrics["groups"] == {"full": 600, "rare": 138, "non_rare": 462}
    assert metrics["counts"]["detections"] > 100
    assert 0 <= metrics["full"] <= 100
    assert "V-COCO" not in done.stderr
    assert "<svg role=" in (folder / "results/hicodet/report/index.html").read_text()
    runs = folder / "manifests/hicodet/runs"  # the toyworld's, which are committed, have no cache here
    own = [str(path.relative_to(folder)) for path in sorted(runs.iterdir())]
    assert "as recorded" in run_in(folder, "weakhoi", "verify", "--images", *own).stdout
    for name in ("prepare", "evaluate-ours"):
        assert "byte-identical" in run_in(folder, "weakhoi", "rerun", f"manifests/hicodet/runs/{name}.json").stdout
    run_in(folder, "weakhoi", "export", "--dataset", "hicodet", "--format", "hicodet-mat", "--output", "official")
    assert len(list((folder / "official").iterdir())) == 80
    photos = download / "images/test2015"
    run_in(folder, "weakhoi", "predict", str(photos), "--dataset", "hicodet", "--threshold", "0", "--json", "p.json")
    predicted = json.loads((folder / "p.json").read_text())
    assert len(predicted["images"]) == 8
    assert "fasterrcnn_resnet50_fpn" in predicted["detector"]
    assert any(image["detections"] for image in predicted["images"])
    bank = json.loads((folder / "manifests/hicodet/runs/encode_prompts.json").read_text())["counts"]
    assert bank == {"hoi_classes": 600, "width": 1024}
    run_every_method(folder, "hicodet", photos, VIT)


def test_dinov2(tmp_path, weights):
    """ViT-S/14 with registers: RegFormer's published encoder at 518 pixels, ours at 224."""
    save_dinov2(weights / "dinov2", random_dinov2(0, **VIT_S14))
    download = hicodet_download(tmp_path / "hico_20160224_det", 8, 4)
    folder = reduced_copy(tmp_path / "copy", "hicodet", download, weights, "fasterrcnn_resnet50_fpn")
    made = [["prepare"], *(["detect", "--split", split] for split in ("train", "test")), ["encode-prompts"]]
    run_rows(folder, "hicodet", made, DINOV2, download / "images/test2015")
    for row in DINOV2:
        inputs = json.loads((folder / f"manifests/hicodet/runs/train-{row}.json").read_text())["inputs"]
        assert str(weights / "dinov2/model.safetensors") in inputs
    config = json.loads((folder / "cache/hicodet/checkpoints/regformer_dinov2/config.json").read_text())
    assert config["image_size"] == 518 and config["backbone"]["sizes"]["hidden_size"] == 384


def test_vcoco(tmp_path, weights):
    download = vcoco_download(tmp_path / "v-coco", {"train": 8, "val": 8, "test": 8})
    folder = reduced_copy(tmp_path / "copy", "vcoco", download, weights, "fasterrcnn_mobilenet_v3_large_320_fpn")
    done = run_in(folder, "dvc", "repro")
    assert "V-COCO" in done.stderr + done.stdout  # the detector may have seen the test images
    metrics = json.loads((folder / "results/vcoco/ours.json").read_text())
    assert metrics["counts"]["images"] == 8
    assert len(metrics["per_role"]) == 25
    assert len(metrics["per_agent"]) == 26
    assert 0 <= metrics["ap_role_s1"] <= metrics["ap_role_s2"] <= 100
    assert metrics["per_agent"]["stand"] == 0  # annotated, but no pair shows it
    assert "AP role S1" in run_in(folder, "weakhoi", "summary", "--dataset", "vcoco").stdout
    detect = json.loads((folder / "manifests/vcoco/runs/detect-test.json").read_text())
    assert detect["params"]["detect"]["trained_on"] == "COCO train2017"

    run_in(folder, "weakhoi", "export", "--dataset", "vcoco", "--format", "vcoco-pickle", "--output", "d.pkl")
    data = download / "data"
    files = ["--annotations", str(data / "vcoco/vcoco_test.json"), "--detections", "d.pkl", "--output", "m.json"]
    files += ["--instances", str(data / "instances_vcoco_all_2014.json")]
    run_in(folder, "weakhoi", "evaluate-detections", "--dataset", "vcoco", *files)
    official = json.loads((folder / "m.json").read_text())
    for name in ("ap_role_s1", "ap_role_s2"):
        assert 100 * official[name] == pytest.approx(metrics[name], abs=0.01)
    run_every_method(folder, "vcoco", download / "images/val2014")
