"""`import weakhoi`: the package's model on images of every kind, both protocols on arrays, the notebook, the wheel."""

from __future__ import annotations

import doctest
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import weakhoi
from pipeline.evaluation.arrays import number_or_none
from pipeline.evaluation.engine import evaluate_hicodet
from pipeline.evaluation.hicodet import Rules
from pipeline.evaluation.vcoco import evaluate_vcoco
from pipeline.truth.hicodet_annotations import read_hicodet_json
from pipeline.truth.vcoco_annotations import read_vcoco
from tests.conftest import ROOT
from tests.evaluation import worlds
from tests.evaluation.vcoco_worlds import ACTIONS, entries, random_world, role_detections, write_files
from tests.truth.test_hicodet_annotations import small

EXAMPLE = ROOT / "examples/toyworld.png"
NOTEBOOK = ROOT / "examples/weakhoi.ipynb"


@pytest.fixture(scope="module")
def model() -> weakhoi.Model:
    return weakhoi.load("toyworld/ours", root="/nowhere", device="cpu")


def assert_same(result, expected):
    """But for the last digits, which hang on the images beside one."""
    assert [found[:2] for found in result.triplets] == [found[:2] for found in expected.triplets] != []
    for found, wanted in zip(result.triplets, expected.triplets, strict=True):
        assert found.score == pytest.approx(wanted.score, rel=1e-4)
        np.testing.assert_allclose(found.boxes, wanted.boxes, atol=0.01)


def test_a_picture_in_every_form_gives_the_same(model):
    image = Image.open(EXAMPLE)
    results = model([EXAMPLE, str(EXAMPLE), image, np.asarray(image)])
    first = results[0]
    verb, name, score, boxes, factors = first.triplets[0]
    assert (verb, name) == ("ride", "horse")  # by far the best, on any CPU
    assert 0.1 < score <= 1 and boxes.shape == (2, 4) and boxes.dtype == np.float32
    detector = factors["human_detector"] * factors["object_detector"]
    assert score == pytest.approx(
        factors["pairwise"] * factors["global"] * factors["relatedness"] * detector**2.8, rel=1e-4
    )
    for result in (*results[1:], model(EXAMPLE)):
        assert_same(result, first)
    assert [result.path for result in results] == [EXAMPLE, EXAMPLE, None, None]
    assert model([]) == []
    assert first.to_json() == json.loads(json.dumps(first.to_json()))
    assert [entry["verb"] for entry in first.to_json()["detections"]] == [t.verb for t in first.triplets]
    assert first.draw().mode == "RGB" and first.draw().width == 640


def test_a_picture_in_memory_is_turned_as_its_file_would_be(model, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(EXAMPLE).transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=exif)
    file, memory = model([tmp_path / "turned.png", Image.open(tmp_path / "turned.png")])
    assert_same(file, model(EXAMPLE))
    assert_same(memory, file)


def test_threshold_and_top_k(model):
    everything = model(EXAMPLE, threshold=0, top_k=1000).triplets
    assert len(model(EXAMPLE, threshold=0, top_k=2).triplets) == 2
    none = model(EXAMPLE, threshold=1)
    assert none.triplets == [] and none.best.score == everything[0].score and none.num_people >= 1


@pytest.mark.parametrize(
    ("images", "message"),
    [
        ("none.png", "none.png: no such image file; check the path"),
        (ROOT / "stages", "stages: not an image but a folder"),
        ([EXAMPLE, 3], "image 1 is of type int; expected the path of an image, a Pillow image"),
        (np.zeros((8, 8, 3)), "image 0 is an array of float64; expected uint8 in 0..255; multiply values in 0..1"),
        (np.zeros((8, 8), np.uint8), r"shape \[8, 8\]; expected \[height, width, 3\], RGB; repeat a gray image"),
        (np.zeros((3, 8, 9), np.uint8), r"shape \[3, 8, 9\]; .* put the channels last"),
        (np.zeros((2, 8, 9, 3), np.uint8), r"shape \[2, 8, 9, 3\]; .* give a batch as a list"),
        (np.zeros((0, 8, 3), np.uint8), "expected at least one pixel"),
        (np.zeros((2, 2, 3), np.uint8), r"image 0: image is \(2, 2\) pixels"),
        (Image.new("F", (20, 20)), "image 0: cannot be decoded"),
    ],
)
def test_what_is_no_image_is_one_line(model, images, message):
    with pytest.raises(ValueError, match=message) as error:
        model(images)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("options", [{"top_k": 0}, {"threshold": 2}])
def test_options_out_of_range(model, options):
    with pytest.raises(ValueError, match="expected a"):
        model(EXAMPLE, **options)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("toyworld/our", {}, 'did you mean "toyworld/ours"'),
        ("toyworld/our", {"root": ROOT}, 'no variant "our", did you mean "ours"'),
        ("toywrld/ours", {"root": ROOT}, 'no dataset "toywrld", did you mean "toyworld"'),
        ("toyworld", {}, "expected the folder of a checkpoint, with config.json"),
        ("nowhere/at/all", {}, 'no model "nowhere/at/all"'),
        ("toyworld/ours", {"dataset": "toyworld"}, "leave them out"),
        ("toyworld/ours", {"device": "gpu"}, '"gpu" is not a device'),
        ("toyworld/ours", {"detect": {"weights": "none.safetensors"}}, "none.safetensors cannot be read"),
    ],
)
def test_a_wrong_name_is_one_line(tmp_path, name, options, message):
    with pytest.raises(ValueError, match=message) as error:
        weakhoi.load(name, **{"root": tmp_path, **options})
    assert "\n" not in str(error.value)


def test_a_params_file_of_another_project_is_not_taken_for_ours(tmp_path):
    (tmp_path / "params.yaml").write_text("train: {lr: 0.1}\n")
    assert weakhoi.load("toyworld/ours", root=tmp_path).origin == "toyworld/ours, shipped with weakhoi"


# The protocols


def test_hicodet_on_arrays_is_the_protocol(seed):
    truth, found = worlds.random_world(seed)
    object_ids, rare = worlds.HOI_OBJECT_IDS, worlds.GROUPS["rare"]
    annotations = vars(truth) | {"hoi_object_ids": object_ids.tolist(), "rare": rare}
    wider = {name: column.astype(np.result_type(column, np.int64)) for name, column in vars(found).items()}
    for setting in ("default", "known_object"):
        expected = evaluate_hicodet(found, truth, Rules(object_ids, setting))
        figures = weakhoi.evaluate_hicodet(wider, annotations, setting=setting)
        assert figures["full"] == expected.mean_ap
        assert figures["ap"] == [number_or_none(ap) for ap in expected.ap]
        assert figures["rare"] == np.nan_to_num(expected.ap[rare]).mean()


def test_vcoco_on_arrays_is_the_protocol_on_the_official_files(seed, tmp_path):
    people, world, rows = random_world(seed)
    files = write_files(tmp_path, entries(people), world)
    read, found = read_vcoco(*files), role_detections(rows)
    boxes = np.concatenate([read.boxes, np.full((1, 4), np.nan)])
    arrays = {
        "image_ids": read.image_ids,
        "image_id": read.image_ids[read.person_image],
        "boxes": read.boxes[read.person_box],
        "labels": read.labels,
        "role_boxes": boxes[read.role_box],  # -1 is the row of nan
        "roles": dict(ACTIONS),
    }
    for ties in ("row_order", "official"):
        figures = weakhoi.evaluate_vcoco(vars(found), arrays, ties=ties)
        expected = evaluate_vcoco(found, read, ties)
        assert figures == expected.figures(number_or_none)
        assert 0 < figures["ap_role_s1"] < 1
        assert weakhoi.evaluate_vcoco(vars(found), *files, ties=ties) == figures


def test_hicodet_with_the_official_file(tmp_path):
    path = small(tmp_path)
    truth = read_hicodet_json(path).truth
    figures = weakhoi.evaluate_hicodet(vars(worlds.oracle(truth)), path)
    present = np.bincount(truth.hoi_id, minlength=len(figures["ap"])) > 0
    assert figures["ap"] == [1.0 if found else None for found in present]
    assert {"full", "rare", "non_rare"} <= figures.keys()


PAIRS = {"image_index": [0], "hoi_id": [0], "human_boxes": [[0, 0, 9, 9]], "object_boxes": [[0, 0, 9, 9]]}
TRUTH = PAIRS | {"num_images": 1, "hoi_object_ids": [0, 0]}


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({"score": [1]}, {}, 'detections: no "scores", did you mean "score"'),
        ({"scores": [1], "hoi_id": [2]}, {}, r"hoi_id 2 in row 0 is out of range; expected 0..1 \(2 HOI classes\)"),
        ({"scores": [1], "hoi_id": [70000]}, {}, "hoi_id 70000"),  # before it could wrap around
        ({"scores": [1], "hoi_id": [0.0]}, {}, r"hoi_id is float64 \[1\]; expected integer \[T = 1\]"),
        ({"scores": [1, 2]}, {}, r"scores is int64 \[2\]; expected floating \[T = 1\]"),
        ({"scores": [1], "human_boxes": [[9, 0, 0, 9]]}, {}, "human_boxes: box 0 is .*; expected finite x1 <= x2"),
        ({"scores": [1]}, {"setting": "defaul"}, 'setting "defaul" is unknown, did you mean "default"'),
    ],
)
def test_arrays_of_another_form_are_one_line(changes, options, message):
    with pytest.raises(ValueError, match=message) as error:
        weakhoi.evaluate_hicodet(PAIRS | changes, TRUTH, **options)
    assert "\n" not in str(error.value)


def test_importing_is_quick_and_the_protocols_need_no_torch():
    code = (
        "import sys, weakhoi; print([name for name in ('torch', 'numpy', 'PIL') if name in sys.modules])\n"
        f"print(weakhoi.evaluate_hicodet({PAIRS | {'scores': [1]}}, {TRUTH})['ap'], 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "[]\n[1.0, None] False\n"


def test_the_example_of_a_docstring_runs():
    assert doctest.testmod(weakhoi).attempted > 0
    assert doctest.testmod(weakhoi).failed == 0


# The notebook


def test_the_notebook_runs(monkeypatch, capsys):
    """Every cell in order, in its folder; what it says of the protocol is asserted in it."""
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    monkeypatch.chdir(NOTEBOOK.parent)
    before = set(Path().iterdir())
    names: dict = {}
    for source in code:
        exec(compile(source, str(NOTEBOOK), "exec"), names)
    assert "ride horse" in capsys.readouterr().out
    assert set(Path().iterdir()) == before
    assert [cell.get("outputs", []) for cell in cells if cell["cell_type"] == "code"] == [[]] * len(code)
