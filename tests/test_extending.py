"""Parts from outside `pipeline/`, named in params alone: a method and a backbone, from train to report; a reader."""

from __future__ import annotations

import csv
import functools
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from pipeline.config.layout import Layout
from pipeline.core.outputs import OutputColumn
from pipeline.data.split import read_split
from pipeline.evaluation.params import OTHER_METRICS
from pipeline.store.dump import read_dump
from pipeline.store.vocabulary_file import read_vocabulary
from pipeline.truth.ground_truth_file import read_ground_truth
from tests.conftest import ROOT
from tests.own_method import OwnMethod
from tests.roots import copied, edit_params, new_root, refused, repeats, succeeds

TOY, RUN = ("--dataset", "toyworld"), ("--variant", "mine")
MINE = {
    "desc": "a method and a backbone of tests/",
    "model": {
        "method": "tests.own_method", "backbone": "tests.own_backbone",
        "own_method": {"hidden": 8}, "own_backbone": {"width": 6},
    },
    "train": {"loss_weights": {"action": 2}},
    "evaluate": {"weights": {"place": 0.5}, "class_groups": {"seen": ["*", "!* horse"], "unseen": ["* horse"]}},
}  # fmt: skip
STAGES = (
    ("prepare",), ("detect", "--split", "train"), ("detect", "--split", "test"), ("encode-prompts",),
    ("train", *RUN), ("infer", *RUN), ("evaluate", *RUN), ("report",),
)  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """A toyworld of a few images, on which all stages have run with the variant `mine`."""

    def edit(document):
        toyworld = document["toyworld"]
        toyworld["prepare"]["num_images"] = {"train": 6, "val": 1, "test": 4}
        toyworld["train"] |= {"epochs": 2, "batch_size": 3}
        toyworld["report"] |= {"num_images": 2, "gallery_images": 2}
        document["variants"]["mine"] = MINE
        document["run_variants"] = ["mine"]

    root = new_root(tmp_path_factory.mktemp("own"), edit)
    for stage, *options in STAGES:
        succeeds(root, stage, *TOY, *options)
    return root


def rows_of(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def test_the_log_has_the_methods_own_losses_with_their_weights(root):
    rows = rows_of(root / "results/toyworld/training/mine.csv")
    assert len(rows) == 4
    for row in rows:
        assert list(row) == ["iteration", "epoch", "loss", "scene", "action"]
        assert float(row["loss"]) == pytest.approx(float(row["scene"]) + 2 * float(row["action"]), rel=1e-4)


@pytest.mark.parametrize(("run", "taker"), [("train-mine", "infer"), ("infer-mine-test", "evaluate")])
def test_the_modules_are_inputs_of_the_runs_so_that_other_code_is_told(root, tmp_path, run, taker):
    own = [str(ROOT / "tests" / name) for name in ("own_backbone.py", "own_method.py")]
    copy = copied(root, tmp_path / "copy")
    record = copy / f"manifests/toyworld/runs/{run}.json"
    document = json.loads(record.read_text(encoding="utf-8"))
    assert set(own) <= set(document["inputs"])
    document["inputs"][own[1]] = "0" * 64  # as if the module had been edited since
    record.write_text(json.dumps(document), encoding="utf-8")
    assert f"made from {own[1]} of sha256 000000000000" in refused(copy, taker, *TOY, *RUN)


def test_the_dump_has_the_methods_own_columns(root):
    dump = read_dump(root / "cache/toyworld/predictions/mine.zarr")
    assert [column.factor for column in dump.columns] == ["place", "deed"]
    assert dump.outputs["scene_logits"].shape == (4, dump.vocabulary.num_hois)
    assert dump.outputs["action_logits"].shape == (len(dump.human_index), dump.vocabulary.num_verbs)


def test_scores_are_averaged_over_groups_of_ones_own(root):
    numbers = json.loads((root / "results/toyworld/mine.json").read_text())
    assert list(numbers["groups"]) == ["full", "rare", "non_rare", "seen", "unseen"]
    assert numbers.keys() - numbers["groups"].keys() <= {*OTHER_METRICS}
    assert (numbers["groups"]["seen"], numbers["groups"]["unseen"]) == (34, 6)
    classes = rows_of(root / "results/toyworld/per_class/mine.csv")
    assert {row["object"] for row in classes if row["unseen"] == "1"} == {"horse"}
    assert numbers["unseen"] == pytest.approx(
        sum(float(row["ap"] or 0) for row in classes if row["unseen"] == "1") / 6, abs=1e-3
    )
    assert "unseen" in (root / "results/toyworld/report/index.html").read_text(encoding="utf-8")


def test_every_factor_of_the_method_is_swept(root):
    folder = root / "results/toyworld/weights/mine"
    assert {path.stem for path in folder.iterdir()} == {"place", "deed", "detector"}
    chosen = {path.stem: [row["weight"] for row in rows_of(path) if row["chosen"] == "1"] for path in folder.iterdir()}
    assert chosen == {"place": ["0.5"], "deed": ["1"], "detector": ["2.8"]}


def test_the_page_names_the_methods_own_factors_and_no_others(root):
    page = (root / "results/toyworld/report/index.html").read_text(encoding="utf-8")
    record = json.loads(page.partition('<script type="application/json" id="record">')[2].partition("</script>")[0])
    (run,) = record["runs"]
    assert (run["name"], run["factors"]) == ("mine", ["place", "detector", "deed"])
    assert any(run["found"])
    text = re.sub(r"<script.*?</script>|base64,[^\"]*", "", page, flags=re.DOTALL)
    assert not [word for word in ("pairwise", "relatedness", "s<sub>g</sub>", "eq. (4)") if word in text]


def test_predict_tells_the_parts_of_a_score_by_the_methods_own_names(root):
    image = str(ROOT / "examples/toyworld.png")
    done = succeeds(root, "predict", image, *TOY, *RUN, "--json", "-", "--threshold", "0")
    (found,) = json.loads(done.stdout)["images"]
    assert {*found["detections"][0]["parts"]} == {"place", "deed", "human_detector", "object_detector"}


@pytest.mark.slow
def test_a_run_of_them_gives_the_same_bytes_again(root):
    repeats(root, "manifests/toyworld/runs/train-mine.json")


@pytest.fixture
def other(root, tmp_path) -> Path:
    """A copy of the root, whose `mine` may be changed."""
    return copied(root, tmp_path / "root")


@pytest.mark.parametrize(
    ("section", "change", "line"),
    [
        ("model", {"method": "tests.own_methd"}, '"tests.own_methd" is no module that defines METHOD'),
        ("model", {"own_method": {"hiden": 4}}, 'unknown key "model.own_method.hiden", did you mean "hidden"?'),
        ("model", {"own_methd": {"hidden": 4}}, 'unknown section "model.own_methd", did you mean "own_method"?'),
        ("train", {"loss_weights": {"acton": 1}}, 'train.loss_weights: no loss "acton", did you mean "action"?'),
        ("evaluate", {"weights": {"dead": 1}}, 'evaluate.weights: no factor "dead", did you mean "deed"?'),
        ("evaluate", {"class_groups": {"mine": ["hold cap"]}}, 'matches no HOI class, did you mean "hold cup"?'),
        ("evaluate", {"class_groups": {"ap_agent": ["*"]}}, "another name: the metrics have this key already"),
        ("evaluate", {"times_run": "mine", "links": {"place": "linear"}}, "links.place is 'linear'"),
    ],
)
def test_a_wrong_name_in_params_is_one_line(other, section, change, line):
    edit_params(other, lambda document: document["variants"]["mine"][section].update(change))
    assert line in refused(other, "evaluate" if section == "evaluate" else "train", *TOY, *RUN)


COLUMN = OutputColumn("scene_logits", "image", "hois", "place")


@pytest.mark.parametrize(
    ("attribute", "value", "line"),
    [
        ("loss_names", ("scene", "deed"), "the losses return scene, action, but the method declares the loss_names"),
        ("loss_names", ("scene",), "the losses return scene, action, but the method declares the loss_names scene;"),
        ("loss_names", ("loss", "scene"), 'loss "loss" is a name of the pipeline itself'),
        ("columns", (replace(COLUMN, name="sene"),), 'returns scene_logits, action_logits, but .* column "sene"'),
        ("columns", (replace(COLUMN, per="pair"),), r'"scene_logits" has shape \(3, 40\), .* \(hois per pair\)'),
        ("columns", (replace(COLUMN, classes=None),), r'"scene_logits" has shape \(3, 40\), expected \(3,\)'),
        ("columns", (COLUMN, replace(COLUMN, name="action_logits")), 'factor "place" is declared twice'),
        ("columns", (replace(COLUMN, factor="detector"),), 'factor "detector" is a name of the pipeline itself'),
        ("columns", (replace(COLUMN, factor="a/b"),), "factor 'a/b': expected a name of letters"),
    ],
)
def test_a_method_that_does_not_do_what_it_declares_is_one_line(other, monkeypatch, attribute, value, line):
    monkeypatch.setattr(OwnMethod, attribute, value)
    changes = {"loss_weights": {}}  # those of `mine` may name an undeclared term
    edit_params(other, lambda document: document["variants"]["mine"]["train"].update(changes))
    assert re.search(line, refused(other, "train", *TOY, *RUN))


def test_outputs_are_checked_again_when_they_are_kept(other, monkeypatch):
    monkeypatch.setattr(OwnMethod, "columns", (replace(COLUMN, name="sene"),))
    assert 'declares the column "sene"; make them agree' in refused(other, "infer", *TOY, *RUN)


def entry(name: str, *pairs: tuple) -> dict:
    """An image of own_reader's pairs.json, from (HOI id, human box, object box)."""
    hoi, humans, objects = zip(*pairs, strict=True) if pairs else ((), (), ())
    return {"file": name, "hoi": hoi, "boxes_h": humans, "boxes_o": objects}


HUMAN, CUP, DOG = [0, 0, 9.5, 9], [4, 4, 12, 10], [1, 1, 20, 10]
OWN_DATA = {
    "objects": ["cup", "person", "dog"],
    "verbs": ["hold", "pet"],
    "classes": [["hold", "cup"], ["pet", "dog"]],
    "train": [entry("a.png", (1, HUMAN, DOG), (1, HUMAN, CUP)), entry("b.png", (0, HUMAN, CUP))],
    "val": [],
    "test": [entry("c.png", (0, HUMAN, CUP), (1, HUMAN, DOG)), entry("d.png")],
}


@pytest.fixture
def dataset(tmp_path) -> Layout:
    """A root whose dataset `mine` is read by tests/own_reader.py; no stage has run."""
    source = tmp_path / "data/mine"
    (source / "images").mkdir(parents=True)
    for image in OWN_DATA["train"] + OWN_DATA["test"]:
        Image.new("RGB", (20, 10)).save(source / "images" / image["file"])
    (source / "pairs.json").write_text(json.dumps(OWN_DATA), encoding="utf-8")
    return Layout(new_root(tmp_path, functools.partial(set_reader, name="tests.own_reader")), "mine")


def set_reader(document, name: str) -> None:
    prepare = document["hicodet"]["prepare"] | {"reader": name, "source": "data/mine"}
    document["mine"] = document["hicodet"] | {"prepare": prepare}


PREPARE = ("prepare", "--dataset", "mine")


def test_a_reader_of_ones_own_gives_labels_to_train_and_boxes_to_test(dataset):
    succeeds(dataset.root, *PREPARE)
    vocabulary = read_vocabulary(dataset.vocabulary)
    train, test = (read_split(dataset.split(name), vocabulary) for name in ("train", "test"))
    assert (train.dataset, train.image_root) == ("mine", "data/mine/images")
    assert [labels.hoi_ids.tolist() for labels in train.labels + test.labels] == [[1], [0], [0, 1], []]
    annotated = read_ground_truth(dataset.ground_truth("test"), test, vocabulary.num_hois)
    assert annotated.truth.human_boxes.tolist() == [HUMAN, HUMAN]
    assert annotated.truth.object_boxes.tolist() == [CUP, DOG]
    assert annotated.train_instances.tolist() == [1, 2]
    assert "box" not in dataset.split("train").read_text() and not dataset.ground_truth("train").exists()
    recorded = json.loads(dataset.stage_manifest("prepare").read_text(encoding="utf-8"))["inputs"]
    assert {*recorded} == {"data/mine/pairs.json", str(ROOT / "tests/own_reader.py")}


def test_its_boxes_are_checked(dataset):
    path = dataset.root / "data/mine/pairs.json"
    path.write_text(json.dumps(OWN_DATA | {"test": [entry("c.png", (0, HUMAN, [50, 0, 60, 9]))]}), encoding="utf-8")
    assert 'object box of pair 0, image "c.png" of 20 x 10 pixels' in refused(dataset.root, *PREPARE)


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("hicodt", '"hicodt" is no module that defines READER, did you mean "hicodet"?; expected folder, hicodet,'),
        ("base", '"base" is no module that defines READER; expected folder, hicodet, swig_hoi, toyworld, vcoco, or'),
        ("tests.own_raeder", '"tests.own_raeder" is no module that defines READER'),
    ],
)
def test_a_reader_that_is_none_is_one_line(dataset, name, line):
    edit_params(dataset.root, functools.partial(set_reader, name=name))
    assert refused(dataset.root, *PREPARE).startswith(f"Error: mine.prepare.reader: {line}")
