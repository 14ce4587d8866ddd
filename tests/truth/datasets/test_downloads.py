"""HICO-DET and V-COCO through `prepare`: small folders in the form of the downloads."""

import json
import shutil

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from PIL import Image
from scipy.io import savemat

from pipeline.config.layout import Layout
from pipeline.config.params import load_params
from pipeline.core.errors import ArtifactError
from pipeline.data.split import read_split
from pipeline.store.files import sha256_of
from pipeline.store.vocabulary_file import read_vocabulary
from pipeline.truth.datasets.catalog import open_reader, read_training_boxes
from pipeline.truth.ground_truth_file import read_ground_truth
from pipeline.truth.params import PrepareParams
from pipeline.truth.vcoco_people_file import read_people
from stages.cli import main
from tests.conftest import ROOT
from tests.downloads import hicodet_download, vcoco_download
from tests.truth.community_files import hicodet_as_community, vcoco_as_community
from tests.truth.test_hicodet_mat import ACTIONS, TEST, TRAIN, actions, label_file, structs

COUNTS = {"train": 3, "val": 3, "test": 3}


@pytest.fixture
def prepare(tmp_path):
    """Run `prepare` on a folder of downloads; returns the result and the layout."""

    def run(dataset, folder, **changes):
        root = tmp_path / "root"
        root.mkdir(exist_ok=True)
        document = yaml.safe_load((ROOT / "params.yaml").read_text())
        document[dataset]["prepare"] |= {"source": folder and str(folder), **changes}
        (root / "params.yaml").write_text(yaml.safe_dump(document))
        done = CliRunner().invoke(main, ["prepare", "--dataset", dataset, "--root", str(root)])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done, Layout(root, dataset)

    return run


def refused(done, *parts):
    assert done.exit_code == 2
    assert done.output.startswith("Error: ")
    assert done.output.count("\n") == 1
    for part in parts:
        assert part in done.output


@pytest.fixture(scope="module")
def hicodet_folder(tmp_path_factory):
    return hicodet_download(tmp_path_factory.mktemp("hico") / "hico_20160224_det", 6, 4, longest=40)


@pytest.fixture(scope="module", params=[True, False], ids=["official", "json"])
def vcoco_folder(request, tmp_path_factory):
    return vcoco_download(tmp_path_factory.mktemp("vcoco") / "v-coco", COUNTS, longest=60, official=request.param)


def test_hicodet_outside_the_repository(prepare, hicodet_folder):
    done, layout = prepare("hicodet", hicodet_folder)
    assert done.exit_code == 0, done.output
    vocabulary = read_vocabulary(layout.vocabulary)
    assert (vocabulary.num_verbs, vocabulary.num_objects, vocabulary.num_hois) == (117, 80, 600)
    splits = {name: read_split(layout.split(name), vocabulary) for name in ("train", "val", "test")}
    assert [len(split) for split in splits.values()] == [6, 0, 4]
    test = splits["test"]
    path = test.image_path(0, layout.root)
    assert path == hicodet_folder / "images/test2015/HICO_test2015_00000001.jpg"
    record = test.images[0]
    assert record.sha256 == sha256_of(path)
    with Image.open(path) as image:
        assert (record.width, record.height) == image.size
    for name in splits:  # a folder for each, as stages depend on those of their own split
        assert "images" in (layout.drawn_images / name / "SOURCE.txt").read_text()
    form = json.loads((hicodet_folder / "instances_test2015.json").read_text())
    assert test.labels[0].hoi_ids.tolist() == sorted(set(form["annotation"][0]["hoi"]))
    annotated = read_ground_truth(layout.ground_truth("test"), test, vocabulary.num_hois)
    first = np.subtract(form["annotation"][0]["boxes_h"][0], (1, 1, 0, 0))
    assert annotated.truth.human_boxes[0].tolist() == first.tolist()
    assert annotated.rare.sum() == 138  # of the file, not of six training images
    assert annotated.train_instances.sum() > 0
    assert len(read_ground_truth(layout.ground_truth("val"), splits["val"], 600).truth) == 0


def test_training_manifests_hold_no_box(prepare, hicodet_folder, vcoco_folder):
    for dataset, folder in (("hicodet", hicodet_folder), ("vcoco", vcoco_folder)):
        _, layout = prepare(dataset, folder)
        manifest = json.loads(layout.split("train").read_text())
        assert {key for image in manifest["images"] for key in image} == {
            "image_id", "path", "width", "height", "sha256", "hoi_ids",
        }  # fmt: skip
        assert not layout.ground_truth("train").exists()
        assert not layout.people("train").exists()


@pytest.mark.parametrize("val_fraction", [0.0, 0.34])
@pytest.mark.parametrize("dataset", ["hicodet", "vcoco"])
def test_boxes_of_training_images_are_those_of_the_annotations(
    prepare, hicodet_folder, vcoco_folder, dataset, val_fraction
):
    """They are read for the images of train.json; the labels there are the classes of the pairs."""
    folder = {"hicodet": hicodet_folder, "vcoco": vcoco_folder}[dataset]
    _, layout = prepare(dataset, folder, val_fraction=val_fraction)
    vocabulary = read_vocabulary(layout.vocabulary)
    manifest = read_split(layout.split("train"), vocabulary)
    params = load_params(layout.params, dataset)[PrepareParams]
    reader, _ = open_reader(params, dataset=dataset, root=layout.root)
    truth = read_training_boxes(reader, params, manifest, vocabulary)
    assert len(truth) > 0
    shown = [np.unique(truth.hoi_id[truth.image_index == row]).tolist() for row in range(len(manifest))]
    assert shown == [labels.hoi_ids.tolist() for labels in manifest.labels]
    if dataset == "hicodet":
        form = json.loads((folder / "instances_train2015.json").read_text())
        entry = form["annotation"][form["filenames"].index(f"{manifest.image_ids[0]}.jpg")]
        expected = np.array(entry["boxes_h"]) - (1, 1, 0, 0)
        assert truth.human_boxes[truth.image_index == 0].tolist() == expected.tolist()
    if val_fraction:
        _, layout = prepare(dataset, folder, val_fraction=0.5)
        with pytest.raises(ArtifactError, match="other images than the annotations"):
            read_training_boxes(reader, params, read_split(layout.split("train"), vocabulary), vocabulary)


def test_hicodet_validation_images_are_held_out_of_train(prepare, hicodet_folder):
    _, layout = prepare("hicodet", hicodet_folder, val_fraction=0.34)
    vocabulary = read_vocabulary(layout.vocabulary)
    train, val = (read_split(layout.split(name), vocabulary) for name in ("train", "val"))
    assert (len(train), len(val)) == (4, 2)
    assert not set(train.image_ids) & set(val.image_ids)
    truth = read_ground_truth(layout.ground_truth("val"), val, 600).truth
    assert [np.unique(truth.hoi_id[truth.image_index == row]).tolist() for row in range(2)] == [
        labels.hoi_ids.tolist() for labels in val.labels
    ]
    refused(prepare("hicodet", hicodet_folder, val_fraction=None)[0], "val_fraction is null")


def test_hicodet_official_mat_files(prepare, tmp_path):
    folder = tmp_path / "root" / "data" / "hico"
    for split, images in (("train", TRAIN), ("test", TEST)):
        (folder / f"images/{split}2015").mkdir(parents=True)
        for entry in images:
            size = (int(entry["size"]["width"]), int(entry["size"]["height"]))
            Image.new("RGB", size).save(folder / f"images/{split}2015" / entry["filename"])
    bbox = {"bbox_train": structs(TRAIN), "bbox_test": structs(TEST), "list_action": actions(ACTIONS)}
    savemat(folder / "anno_bbox.mat", bbox)
    done, layout = prepare("hicodet", "data/hico")
    assert done.exit_code == 0, done.output
    vocabulary = read_vocabulary(layout.vocabulary)
    test = read_split(layout.split("test"), vocabulary)
    assert test.image_root == "data/hico/images"  # inside the repository: the same on every machine
    assert [labels.hoi_ids.tolist() for labels in test.labels] == [[1], []]  # the visible pairs
    annotated = read_ground_truth(layout.ground_truth("test"), test, vocabulary.num_hois)
    assert annotated.rare.tolist() == [False, True, True]
    labels = label_file(tmp_path, [[0, 1], [1, 0], [1, 0]])
    from scipy.io import loadmat

    saved = {name: value for name, value in loadmat(labels).items() if name.endswith("_test")}
    names = np.array([entry["filename"] for entry in TRAIN], dtype=object)[:, None]
    savemat(folder / "anno.mat", saved | {"anno_train": np.ones((3, 10)), "list_train": names})
    done, layout = prepare("hicodet", "data/hico")
    assert done.exit_code == 0, done.output
    test = read_split(layout.split("test"), vocabulary)
    assert [labels.hoi_ids.tolist() for labels in test.labels] == [[1, 2], [0]]  # those of anno.mat
    savemat(folder / "anno_bbox.mat", {"bbox": np.zeros(1)})
    refused(prepare("hicodet", "data/hico")[0], "release 20160224")


@pytest.mark.parametrize("box", [[30, 4, 3, 9], [500, 500, 510, 510]])
def test_boxes_that_nothing_could_match_are_refused_where_they_are_scored(prepare, hicodet_folder, tmp_path, box):
    """In the test split and in a val split; not in train, which has no boxes."""
    copy = tmp_path / "copy"
    shutil.copytree(hicodet_folder, copy)
    for split in ("test", "train"):
        path = copy / f"instances_{split}2015.json"
        whole = path.read_text()
        form = json.loads(whole)
        for entry in form["annotation"]:
            entry["boxes_o"] = [box] * len(entry["boxes_o"])
        path.write_text(json.dumps(form))
        if split == "train":
            assert prepare("hicodet", copy)[0].exit_code == 0
        done, layout = prepare("hicodet", copy, val_fraction=0.34)
        refused(done, f"{copy}: object box of pair 0", f"{split}2015/HICO_", "correct the annotations")
        assert not layout.split("val").exists() or split == "train"
        path.write_text(whole)


def test_vcoco_pairs_are_checked_too(prepare, tmp_path):
    folder = vcoco_download(tmp_path / "v-coco", COUNTS, longest=60, official=False)
    path = folder / "instances_vcoco_test.json"
    form = json.loads(path.read_text())
    first = next(image for image in form["annotations"] if image["boxes_h"])
    first["boxes_h"][0] = [500, 500, 600, 600]
    path.write_text(json.dumps(form))
    refused(prepare("vcoco", folder)[0], "human box of pair 0", first["file_name"])


def test_image_level_labels_beside_the_json_form(prepare, hicodet_folder, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(hicodet_folder, copy)
    content = {}
    for split in ("train", "test"):
        names = json.loads((copy / f"instances_{split}2015.json").read_text())["filenames"]
        shown = np.ones((600, len(names)))
        shown[7, 1] = -1
        content |= {f"anno_{split}": shown, f"list_{split}": np.array(names, dtype=object)[:, None]}
    savemat(copy / "anno.mat", content)
    done, layout = prepare("hicodet", copy)
    assert done.exit_code == 0, done.output
    test = read_split(layout.split("test"), read_vocabulary(layout.vocabulary))
    assert [len(labels.hoi_ids) for labels in test.labels] == [600, 599, 600, 600]  # not the visible pairs
    recorded = json.loads(layout.stage_manifest("prepare").read_text())["inputs"]
    assert any(path.endswith("anno.mat") for path in recorded)


@pytest.mark.parametrize("place", ["", "annotations"])
def test_hicodet_in_the_form_of_ppdm_prepares_to_the_same(prepare, hicodet_folder, tmp_path, place):
    _, layout = prepare("hicodet", hicodet_folder)
    outputs = [layout.vocabulary, *(layout.split(name) for name in ("train", "test")), layout.ground_truth("test")]
    expected = [json.loads(path.read_text()) for path in outputs]
    copy = tmp_path / "copy"
    shutil.copytree(hicodet_folder, copy)
    (copy / "annotations").mkdir()
    for split, name in (("train", "trainval_hico.json"), ("test", "test_hico.json")):
        path = copy / f"instances_{split}2015.json"
        (copy / place / name).write_text(json.dumps(hicodet_as_community(json.loads(path.read_text()))))
        path.unlink()
    done, layout = prepare("hicodet", copy)
    assert done.exit_code == 0, done.output
    (note,) = done.output.splitlines()
    assert "they are not those of anno_bbox.mat" in note
    assert "(0 rows that are no pair are left out)" in note
    found = [json.loads(path.read_text()) for path in outputs]
    for data in (*expected, *found):
        data.pop("image_root", None)
    assert found == expected


def test_vcoco_in_the_form_of_qpic(prepare, tmp_path):
    folder = vcoco_download(tmp_path / "v-coco", COUNTS, longest=60, official=False)
    done, layout = prepare("vcoco", folder)
    expected = [json.loads(layout.ground_truth("test").read_text())[name] for name in ("human_boxes", "object_boxes")]
    for split in ("trainval", "test"):
        path = folder / f"instances_vcoco_{split}.json"
        (folder / f"{split}_vcoco.json").write_text(json.dumps(vcoco_as_community(json.loads(path.read_text()))))
        path.unlink()
    done, layout = prepare("vcoco", folder)
    assert done.exit_code == 0, done.output
    assert not done.output
    found = json.loads(layout.ground_truth("test").read_text())
    assert [found[name] for name in ("human_boxes", "object_boxes")] == expected


def test_hicodet_missing_parts_say_what_to_download(prepare, hicodet_folder, tmp_path):
    refused(prepare("hicodet", tmp_path / "nothing")[0], "nothing: folder does not exist", "hico_20160224_det.tar.gz")
    copy = tmp_path / "copy"
    shutil.copytree(hicodet_folder, copy)
    (copy / "instances_train2015.json").unlink()
    refused(prepare("hicodet", copy)[0], "holds neither anno_bbox.mat nor instances_train2015.json")
    shutil.rmtree(copy / "images/test2015")
    refused(prepare("hicodet", copy)[0], "images/test2015: folder does not exist", "unpack it")
    refused(prepare("hicodet", None)[0], "hicodet.prepare.source is null")


def test_images_are_checked_one_by_one(prepare, hicodet_folder, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(hicodet_folder, copy)
    paths = sorted((copy / "images/train2015").iterdir())
    Image.new("RGB", (9, 9)).save(paths[0])
    refused(prepare("hicodet", copy)[0], "1 of 6 images", paths[0].name, "(9, 9)", "the annotations say")
    paths[1].unlink()
    paths[2].write_bytes(b"no picture")
    done, layout = prepare("hicodet", copy)
    refused(done, "3 of 6 images")
    assert not layout.split("train").exists()
    assert not layout.drawn_images.exists()


def test_annotations_of_another_dataset(prepare, hicodet_folder, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(hicodet_folder, copy)
    (copy / "instances_test2015.json").write_text('{"action_to_object": []}')
    refused(prepare("hicodet", copy)[0], "looks like the JSON form of V-COCO")


def test_vcoco_both_forms(prepare, vcoco_folder):
    done, layout = prepare("vcoco", vcoco_folder)
    assert done.exit_code == 0, done.output
    vocabulary = read_vocabulary(layout.vocabulary)
    assert (vocabulary.num_verbs, vocabulary.num_objects, vocabulary.human) == (24, 80, "person")
    splits = {name: read_split(layout.split(name), vocabulary) for name in ("train", "val", "test")}
    assert [len(split) for split in splits.values()] == [6, 0, 3]
    test = splits["test"]
    assert test.image_path(0, layout.root).parent == vcoco_folder / "images/val2014"
    truth = read_ground_truth(layout.ground_truth("test"), test, vocabulary.num_hois).truth
    assert len(truth) > 0
    for row, labels in enumerate(test.labels):
        assert labels.hoi_ids.tolist() == np.unique(truth.hoi_id[truth.image_index == row]).tolist()
    if (vcoco_folder / "data").exists():
        people = read_people(layout.people("test"), test)
        assert len(people.actions) == 26
        assert (people.labels == 1).any()
        positives = people.role_box[people.labels == 1]
        assert (positives < len(people.boxes)).all()
    else:
        assert not layout.people("test").exists()


def test_vcoco_splits(prepare, vcoco_folder):
    _, layout = prepare("vcoco", vcoco_folder, val_fraction=None)
    vocabulary = read_vocabulary(layout.vocabulary)
    own = [read_split(layout.split(name), vocabulary).image_ids for name in ("train", "val", "test")]
    assert [len(ids) for ids in own] == [3, 3, 3]
    _, layout = prepare("vcoco", vcoco_folder, val_fraction=0.5)
    drawn = [read_split(layout.split(name), vocabulary) for name in ("train", "val", "test")]
    assert sorted(drawn[0].image_ids + drawn[1].image_ids) == sorted(own[0] + own[1])
    assert drawn[2].image_ids == own[2]
    if (vcoco_folder / "data").exists():
        assert len(read_people(layout.people("val"), drawn[1])) == 3


def test_vcoco_missing_parts_say_what_to_download(prepare, tmp_path):
    folder = tmp_path / "v-coco"
    refused(prepare("vcoco", folder)[0], "train2014.zip")
    for part in ("train2014", "val2014"):
        (folder / "images" / part).mkdir(parents=True)
    refused(prepare("vcoco", folder)[0], "github.com/s-gupta/v-coco", "script_pick_annotations.py")


def test_vcoco_ids_that_coco_instances_lack(prepare, tmp_path):
    folder = vcoco_download(tmp_path / "v-coco", COUNTS, longest=60)
    (folder / "data/splits/vcoco_test.ids").write_text("12\n")
    refused(prepare("vcoco", folder)[0], "image 12 is not in instances_vcoco_all_2014.json")
    (folder / "data/splits/vcoco_test.ids").write_text("a b\n")
    refused(prepare("vcoco", folder)[0], "not a list of COCO image ids")
