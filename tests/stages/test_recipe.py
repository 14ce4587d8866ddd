"""The recipes of the toyworld's weights: what they write over."""

import json
import shutil

import pytest
from click.testing import CliRunner

from pipeline.store.clip_checkpoint import load_clip
from pipeline.store.files import sha256_of
from pipeline.store.openai_clip import VisionTransformer
from stages import toy_clip, toy_clip_vit, toy_detector
from tests.conftest import ROOT

WEIGHTS = ROOT / "pipeline/toyworld/weights"
SMALL = ("--num-images", "4", "--num-quality-images", "8", "--epochs", "1", "--batch-size", "4")


def run(command, *arguments):
    return CliRunner().invoke(command, [*map(str, arguments)])


@pytest.mark.parametrize(
    ("command", "name", "content"),
    [
        (toy_clip.command, "mine.safetensors", b"text"),
        (toy_clip.command, "mine.json", b"{}"),
        (toy_clip.command, "mine.safetensors", (WEIGHTS / "detector.safetensors").read_bytes()),
        (toy_clip_vit.command, "mine.safetensors", (WEIGHTS / "detector.safetensors").read_bytes()),
        (toy_detector.command, "mine.safetensors", b"\x89PNG"),
        (toy_detector.command, "mine.safetensors", (WEIGHTS / "clip.safetensors").read_bytes()),
        (toy_detector.command, "mine.json", b"[1]"),
    ],
)
def test_other_files_are_never_written_over(tmp_path, command, name, content):
    (tmp_path / name).write_bytes(content)
    done = run(command, "--output", tmp_path / "mine.safetensors")
    assert done.exit_code == 2 and f"{name}: is there already and holds no " in done.output, done.output
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [content]


def test_a_name_by_which_no_weights_are_loaded(tmp_path):
    done = run(toy_clip.command, "--output", tmp_path / "mine.json")
    assert done.exit_code == 2 and "expected a file name that ends with .safetensors" in done.output
    assert not [*tmp_path.iterdir()]


def test_earlier_weights_are_replaced(tmp_path):
    output = tmp_path / "mine.safetensors"
    for suffix in (".safetensors", ".json"):
        shutil.copy(WEIGHTS / f"detector{suffix}", output.with_suffix(suffix))
    done = run(toy_detector.command, "--output", output, *SMALL)
    assert done.exit_code == 0, done.output
    assert json.loads(output.with_suffix(".json").read_text())["recipe"]["num_images"] == 4


def test_the_second_recipe_makes_a_clip_with_a_vision_transformer(tmp_path):
    output = tmp_path / "mine.safetensors"
    done = run(toy_clip_vit.command, "--output", output, *SMALL)
    assert done.exit_code == 0, done.output
    assert isinstance(load_clip(str(output)).model.visual, VisionTransformer)
    manifest = json.loads(output.with_suffix(".json").read_text())
    assert manifest["architecture"]["vision_patch_size"] == manifest["recipe"]["vision_patch_size"] == 16
    assert manifest["teacher"] == {"weights": "clip.safetensors", "sha256": sha256_of(WEIGHTS / "clip.safetensors")}


def test_a_teacher_that_does_not_fit_is_refused_before_training(tmp_path):
    output = tmp_path / "mine.safetensors"
    done = run(toy_clip_vit.command, "--output", output, "--transformer-width", 32, *SMALL)
    assert done.exit_code == 2 and "transformer_width is 64" in done.output, done.output
    assert not [*tmp_path.iterdir()]
