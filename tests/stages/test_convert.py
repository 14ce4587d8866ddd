import json
import pickle

import numpy as np
import pytest
from click.testing import CliRunner

from pipeline.core.types import Detections
from pipeline.evaluation.detections_file import write_npz
from pipeline.evaluation.exchange import HICODET_FORMS, VCOCO_FORMS
from pipeline.truth.hicodet_annotations import read_hicodet_json
from pipeline.truth.vcoco_annotations import read_vcoco
from stages.convert import command as convert
from stages.evaluate_detections import command as evaluate
from tests.evaluation.test_vcoco import official_world
from tests.evaluation.vcoco_worlds import annotations, instances, random_world, role_detections, write_files
from tests.truth.real_ground_truth import real_ground_truth
from tests.truth.test_hicodet_annotations import SMALL

BOX, CUP = (0, 0, 20, 40), (20, 10, 30, 20)


def invoke(command, *options):
    result = CliRunner().invoke(command, [*map(str, options)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def scores(tmp_path):
    """The metrics of detections in whatever form, against the annotations that `truth` names."""

    def figures(truth, detections):
        result = invoke(evaluate, *truth, "--detections", detections, "--output", tmp_path / "m.json")
        assert result.exit_code == 0, result.output
        return json.loads((tmp_path / "m.json").read_text())

    return figures


@pytest.fixture
def small(tmp_path):
    """Options that name the small HICO-DET file, and detections of its two images beside it."""
    (tmp_path / "annotations.json").write_text(json.dumps(SMALL))
    humans = np.array([[0, 0, 10, 20], [0, 0.5, 10, 20], [4, 4, 5, 5]], np.float32)
    objects = np.array([[2, 3, 30, 40], [2, 3, 30, 41], [0, 1, 3, 4]], np.float32)
    found = Detections(np.int32([0, 0, 0]), np.int16([0, 2, 2]), humans, objects, np.float32([0.8, 0.9, 0.1]))
    write_npz(tmp_path / "d.npz", found)
    return "--dataset", "hicodet", "--annotations", tmp_path / "annotations.json"


def test_there_and_back_is_the_same_file(tmp_path, small, scores):
    expected = scores(small, tmp_path / "d.npz")
    assert expected["full"] > 0
    source = tmp_path / "d.npz"
    for name, options in (
        ("mat", ["--format", "upt-mat"]),
        ("d.json", []),
        ("d.zarr", []),
        ("again.npz", ["--format", "npz"]),
    ):
        result = invoke(convert, *small, "--detections", source, "--output", tmp_path / name, *options)
        assert result.exit_code == 0 and "3 detections" in result.stdout, result.output
        source = tmp_path / name
        assert scores(small, source) == expected
    assert source.read_bytes() == (tmp_path / "d.npz").read_bytes()


def jittered(boxes, sizes, rng):
    limits = np.tile(sizes, 2).astype(np.float32)
    moved = np.clip(boxes + rng.normal(0, 8, boxes.shape).astype(np.float32), 0, limits)
    return np.concatenate([moved[:, :2], np.maximum(moved[:, 2:], moved[:, :2])], axis=1)


def test_every_form_scores_the_same_on_real_images(tmp_path, scores):
    """All 600 classes over the first 40 images of the test split."""
    real = json.loads(real_ground_truth("hicodet", "instances_test2015.json").read_text())
    cut = {name: real[name][:40] for name in ("annotation", "filenames", "size")}
    (tmp_path / "annotations.json").write_text(json.dumps(real | cut | {"empty": []}))
    truth, rng = read_hicodet_json(tmp_path / "annotations.json"), np.random.default_rng(0)
    pairs = np.repeat(np.arange(len(truth.truth)), 3)
    image, hoi_id = truth.truth.image_index[pairs], truth.truth.hoi_id[pairs]
    boxes = (truth.truth.human_boxes[pairs], truth.truth.object_boxes[pairs])
    humans, objects = (jittered(corners, truth.sizes[image], rng) for corners in boxes)
    hoi_id = np.where(rng.random(len(pairs)) < 0.8, hoi_id, rng.integers(0, 600, len(pairs))).astype(np.int16)
    write_npz(tmp_path / "d.npz", Detections(image, hoi_id, humans, objects, rng.random(len(pairs), np.float32)))
    options = ("--dataset", "hicodet", "--annotations", tmp_path / "annotations.json")
    expected = scores(options, tmp_path / "d.npz")
    assert 0 < expected["full"] < 1
    for form, suffix in HICODET_FORMS.items():
        path = tmp_path / f"as-{form}{suffix or ''}"
        done = invoke(convert, *options, "--detections", tmp_path / "d.npz", "--output", path, "--format", form)
        assert done.exit_code == 0, done.output
        assert scores(options, path) == expected
    for form, order in (("hicodet-mat", "COCO's order"), ("upt-mat", "the alphabetical order")):
        done = invoke(convert, *options, "--detections", tmp_path / f"as-{form}", "--output", tmp_path / "back.npz")
        assert f"Note: {tmp_path / f'as-{form}'}: the files are in {order} of objects" in done.stderr


def vcoco_options(folder):
    files = ("--annotations", folder / "vcoco.json", "--instances", folder / "instances.json")
    return "--dataset", "vcoco", *files


def roles_of(figures):
    return {name: value for name, value in figures.items() if "role" in name}


def test_vcocos_forms_on_real_images(tmp_path, scores):
    """A pickle scores what the npz that is made from it does; so does the pickle that is made from that."""
    truth = read_vcoco(*write_files(tmp_path, *official_world(20)))
    rng, rows = np.random.default_rng(0), []
    for person, action, role in np.argwhere(truth.role_box >= 0).repeat(3, axis=0):
        boxes = truth.boxes[[truth.person_box[person], truth.role_box[person, action, role]]]
        human, obj = jittered(boxes, np.full((2, 2), 640), rng)
        rows.append((truth.image_ids[truth.person_image[person]], action, role + 1, human, obj, rng.random()))
    write_npz(tmp_path / "d.npz", role_detections(rows))
    options, figures = vcoco_options(tmp_path), {}
    for source, name, form in (
        ("d.npz", "d.pkl", "vcoco-pickle"),
        ("d.npz", "cache.pkl", "upt-cache"),
        ("cache.pkl", "cache.npz", "npz"),
        ("cache.npz", "cache-official.pkl", "vcoco-pickle"),
    ):
        path = tmp_path / name
        done = invoke(convert, *options, "--detections", tmp_path / source, "--output", path, "--format", form)
        assert done.exit_code == 0, done.output
        figures[name] = scores(options, path)
    expected = scores(options, tmp_path / "d.npz")
    assert 0 < expected["ap_role_s1"] < 1
    assert figures["d.pkl"] == expected
    assert figures["cache.pkl"]["ap_role_s2"] >= expected["ap_role_s2"]  # classes that a row leaves out score 0
    assert figures["cache.npz"] == figures["cache.pkl"]
    assert roles_of(figures["cache-official.pkl"]) == roles_of(figures["cache.pkl"])


def test_what_a_form_of_vcoco_cannot_say_is_told(tmp_path):
    people, world, rows = random_world(0)
    annotations(tmp_path, people, world)
    write_npz(tmp_path / "d.npz", role_detections(rows))
    call = (*vcoco_options(tmp_path), "--detections", tmp_path / "d.npz", "--output")
    done = invoke(convert, *call, tmp_path / "d.pkl")
    nobody = sum(row[0] == 60 for row in rows)
    assert nobody and f"Note: {nobody} detections are of images without people" in done.stderr
    done = invoke(convert, *call, tmp_path / "cache.pkl", "--format", "upt-cache")
    assert "an action that an object leaves out has score 0" in done.stderr
    call = (*vcoco_options(tmp_path), "--detections", tmp_path / "d.pkl", "--output", tmp_path / "back.npz")
    assert "the pickle's scores of persons are left out" in invoke(convert, *call).stderr


def refused(message, *options):
    done = invoke(convert, *options)
    assert (done.exit_code, done.output.count("\n")) == (2, 1), done.output
    assert message in done.output


def test_a_wrong_call_writes_nothing(tmp_path, small):
    call = (*small, "--detections", tmp_path / "d.npz", "--output")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    refused("is the file to convert; give another path", *call, tmp_path / "d.npz")
    refused("annotations.json: is there already and holds no predictions of this form", *call, small[-1])
    refused("its name tells no form; give --format, one of npz, zarr, hicodet-mat, upt-mat", *call, tmp_path / "d.csv")
    refused("--format upt-cache is no form of --dataset hicodet", *call, tmp_path / "x", "--format", "upt-cache")
    refused('hicodet-mat: "car" has no block of HOI classes', *call, tmp_path / "mat")
    refused("holds no HICO-DET detections", *call, tmp_path, "--format", "upt-mat")
    for form in HICODET_FORMS:
        refused("is there already and holds no", *call, small[-1], "--format", form)
    refused("--instances belongs to --dataset vcoco", *call, tmp_path / "d.json", "--instances", tmp_path / "i.json")
    refused("d.npz: does not exist", *small, "--detections", tmp_path / "no" / "d.npz", "--output", tmp_path / "d.json")
    refused("--instances is missing", "--dataset", "vcoco", *call[2:], tmp_path / "d.pkl")
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("form", VCOCO_FORMS)
def test_files_of_others_are_never_overwritten(tmp_path, form):
    annotations(tmp_path, [(1, 10, {"hold": (2,)})], instances(1, [(1, 10, 1, BOX), (2, 10, 2, CUP)]))
    write_npz(tmp_path / "d.npz", role_detections([(10, 0, 1, BOX, CUP, 0.5)]))
    (tmp_path / "mine").write_bytes(pickle.dumps({"weights": 1}))
    call = (*vcoco_options(tmp_path), "--detections", tmp_path / "d.npz", "--output", tmp_path / "mine")
    refused("mine: is there already and holds no", *call, "--format", form)
    assert pickle.loads((tmp_path / "mine").read_bytes()) == {"weights": 1}
