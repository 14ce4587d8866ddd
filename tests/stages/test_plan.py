"""`weakhoi plan`: no data, no weights."""

import json

import pytest

from tests.roots import new_root, refused, succeeds


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return new_root(tmp_path_factory.mktemp("plan"))


def test_a_plan_of_hicodet_before_anything_is_there(root):
    call = (
        "plan",
        "--dataset",
        "hicodet",
        "--variant",
        "ours_vit+train.epochs=151",
        "--ranks",
        "4",
        "--crowd",
        "6",
        "14",
    )
    call += ("--images-per-second", "50")
    done = succeeds(root, *call, "--hours", "10", "--json", str(root / "plan.json"))
    lines = done.output.splitlines()
    assert max(map(len, lines)) <= 80
    assert "Images: 38,118 training, 9,658 test" in lines
    figures = json.loads((root / "plan.json").read_text())
    step, single = figures["memory"]["step, whole share"], figures["memory"]["step, micro_batch 1"]
    assert (step["images"], step["pairs"], single["images"], single["pairs"]) == (24, 24 * 6 * 19, 1, 6 * 19)
    assert step["peak"] > single["peak"] > figures["memory"]["inference"]["peak"]
    images = 151 * 397 * 96  # the paper's 60K iterations
    assert figures["schedule"] == {"iterations": 151 * 397, "batch_size": 96, "images": images}
    assert f"{images / 36_000:,.1f}" in done.output
    assert f"At 50 images/s: {images / 50 / 3600:,.1f} hours" in lines


def test_a_row_that_is_not_trained(root):
    done = succeeds(root, "plan", "--dataset", "hicodet", "--variant", "abl1", "--crowd", "2", "1")
    assert "step" not in done.output
    assert "| inference" in done.output
    assert "Schedule" not in done.output


def test_wrong_calls(root):
    def says(*call):
        return refused(root, "plan", "--dataset", *call)

    assert "a batch of 96 images cannot be shared by 200 ranks" in says("hicodet", "--ranks", "200")
    assert "compares the images of a batch" in says("hicodet", "--variant", "mx_hoi_like", "--micro-batch", "2")
    assert 'unknown key "train.batchsize"' in says("hicodet", "--variant", "ours+train.batchsize=2")
    assert "no.safetensors" in says("hicodet", "--variant", "ours+model.clip=no.safetensors")
    assert 'run "weakhoi prepare --dataset custom"' in says("custom")
    (root / "mine.json").write_text("{}")
    assert "never overwritten" in says("hicodet", "--json", str(root / "mine.json"))
