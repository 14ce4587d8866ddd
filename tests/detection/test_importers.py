import json

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from torchvision.models.detection import FasterRCNN_ResNet50_FPN_Weights

from pipeline.config.layout import Layout
from pipeline.core.errors import DataError
from pipeline.core.types import ImageLabels, ImageRecord
from pipeline.core.vocabulary import Vocabulary
from pipeline.data.coco_categories import COCO_80, COCO_81, COCO_91, object_ids_of
from pipeline.data.split import SplitManifest, write_split
from pipeline.detection.importers import import_proposals
from pipeline.store.proposals_file import SplitProposals, read_proposals, write_proposals
from pipeline.store.vocabulary_file import write_vocabulary
from pipeline.truth.hicodet_annotations import read_hicodet_json
from stages.cli import main
from tests.conftest import ROOT
from tests.truth.real_ground_truth import real_ground_truth

# A vocabulary in HICO-DET's manner: alphabetical, with underscores, and a category that COCO lacks.
FRACTIONS = (0.1, 0.1, 0.5, 0.6)
VOCABULARY = Vocabulary(("dining_table", "lamp", "person"), ("sit_at",), ((0, 0),))


def manifest(dataset="hicodet", ids=("HICO_test2015_00000007", "HICO_test2015_00000012")):
    records = tuple(ImageRecord(name, f"test2015/{name}.jpg", 64, 48, "0" * 64) for name in ids)
    labels = tuple(ImageLabels(name, np.zeros(0, np.int64)) for name in ids)
    return SplitManifest(dataset, "test", "images", records, labels)


def result(image_id=12, category=67, bbox=(10, 10, 20, 30), score=0.5):
    return {"image_id": image_id, "category_id": category, "bbox": list(bbox), "score": score}


def imported(path, labels="coco91", **keywords):
    return import_proposals(path, manifest(**keywords), VOCABULARY, labels=labels, detector="theirs")


def read(path, labels="coco91", **keywords):
    return imported(path, labels, **keywords).proposals


def write(tmp_path, rows):
    (tmp_path / "results.json").write_text(json.dumps(rows))
    return tmp_path / "results.json"


def test_the_names_are_those_of_torchvisions_weights():
    published = FasterRCNN_ResNet50_FPN_Weights.COCO_V1.meta["categories"]
    assert {row: name for row, name in enumerate(published) if name not in ("__background__", "N/A")} == COCO_91


def test_coco_ids_reach_hicodets_objects_by_name_and_back():
    objects = read_hicodet_json(real_ground_truth("hicodet", "instances_test2015.json")).vocabulary
    for numbering in (COCO_91, COCO_80, COCO_81):
        assert len(numbering) == 80
        ids = object_ids_of(np.array(list(numbering)), numbering, objects)
        assert sorted(ids) == list(range(80))
        back = {objects.objects[object_id].replace("_", " "): label for object_id, label in zip(ids, numbering)}  # noqa: B905
        assert {label: name for name, label in back.items()} == numbering
    # by hand, from COCO's own list
    names = ["person", "stop_sign", "umbrella", "dining_table", "toothbrush"]
    for numbering, labels in (
        (COCO_91, [1, 13, 28, 67, 90]),
        (COCO_80, [0, 11, 25, 60, 79]),
        (COCO_81, [1, 12, 26, 61, 80]),
    ):
        assert [objects.objects[row] for row in object_ids_of(np.array(labels), numbering, objects)] == names


def test_coco_results(tmp_path):
    rows = [
        result(score=0.3),
        result(category=1, score=0.9, bbox=(40, 30, 30, 25)),  # leaves the image: clipped
        result(category=2),  # a bicycle: not in the vocabulary
        result("HICO_test2015_00000007", 1, score=0.4),
    ]
    found = read(write(tmp_path, rows))
    assert found.offsets.tolist() == [0, 1, 3]
    assert found.object_ids.tolist() == [2, 2, 0]
    assert found.scores.tolist() == pytest.approx([0.4, 0.9, 0.3])
    assert found.boxes[1].tolist() == [40, 30, 64, 48]
    assert found.boxes[2].tolist() == [10, 10, 30, 40]
    assert found.detector.startswith("theirs ")


def test_coco_image_ids_of_vcoco(tmp_path):
    path = write(tmp_path, [result(294, 1)])
    assert read(path, dataset="vcoco", ids=("COCO_val2014_000000000294",)).offsets.tolist() == [0, 1]


def test_per_image_files(tmp_path):
    folder = tmp_path / "detections"
    folder.mkdir()
    data = {"boxes": [[1, 2, 3, 4], [5, 6, 7, 8]], "scores": [0.2, 0.7], "labels": [0, 2]}
    (folder / "HICO_test2015_00000012.json").write_text(json.dumps(data))
    (folder / "HICO_test2015_00000007.json").write_text('{"boxes": [], "scores": [], "labels": []}')
    found = read(folder, "vocabulary")
    assert found.offsets.tolist() == [0, 0, 2]
    assert found.object_ids.tolist() == [2, 0]
    assert found.boxes.tolist() == [[5, 6, 7, 8], [1, 2, 3, 4]]
    found = read(folder, "coco80")  # 0 is a person, 2 a car
    assert found.object_ids.tolist() == [2]
    (folder / "12.json").write_text('{"boxes": [], "scores": [], "labels": []}')
    with pytest.raises(DataError, match=r"00000012\.json: of the same image as .*/12\.json; expected one"):
        read(folder, "vocabulary")


def test_an_empty_list_is_of_an_empty_split_only(tmp_path):
    assert read(write(tmp_path, []), ids=()).offsets.tolist() == [0]
    with pytest.raises(DataError, match="holds no detection; expected those of hicodet test"):
        read(write(tmp_path, []))


def test_what_was_kept_and_dropped_is_counted(tmp_path):
    rows = [
        result(category=1),
        *[result(score=score) for score in (0.1, 0.2)],
        *[result(category=2)] * 3,  # bicycles
        result(category=16),  # a bird
        result(category=1, bbox=(5, 5, 0, 30)),
        result(category=1, bbox=(5, 5, 30, 0)),
        result(category=1, bbox=(-1.8, 5, 1.7, 9)),  # nothing is left of it in the image
        result(category=1, bbox=(5, 5, 0.02, 30)),  # a sliver is kept
    ]
    found = imported(write(tmp_path, rows))
    assert found.kept == {"person": 5, "dining table": 2}
    assert found.dropped == {"bicycle": 3, "bird": 1}
    assert found.without_extent == 3
    assert found.proposals.object_ids.tolist() == [2, 2, 0, 0]
    assert found.proposals.offsets.tolist() == [0, 0, 4]


def test_labels_one_to_eighty_after_a_background(tmp_path):
    """By the default of a folder, 1 is the second category: no human is found, and the numbering that fits is named."""
    folder = tmp_path / "detections"
    folder.mkdir()
    data = {"boxes": [[1, 2, 30, 40], [5, 6, 17, 18]], "scores": [0.2, 0.7], "labels": [1, 61]}
    (folder / "HICO_test2015_00000012.json").write_text(json.dumps(data))
    assert read(folder, "coco81").object_ids.tolist() == [0, 2]
    with pytest.raises(
        DataError, match=r"label 61 is none of the 3 of this numbering \(0\.\.2\); --labels coco91 finds 1"
    ):
        read(folder, "vocabulary")
    data["labels"] = [1, 1]
    (folder / "HICO_test2015_00000012.json").write_text(json.dumps(data))
    for labels, name in (("vocabulary", "lamp"), ("coco80", "bicycle")):
        with pytest.raises(DataError) as caught:
            read(folder, labels)
        assert f'no "person" among 2 detections by --labels {labels} (1 is "{name}")' in str(caught.value)
        assert "--labels coco91 finds 2 humans, --labels coco81 finds 2 humans" in str(caught.value)


def test_labels_named_by_a_file(tmp_path):
    names = tmp_path / "names.json"
    names.write_text('{"categories": ["__background__", "lamp", "person", "cat"]}')
    path = write(tmp_path, [result(category=label, score=label / 10) for label in (1, 2, 3)])
    found = imported(path, str(names))
    assert found.proposals.object_ids.tolist() == [2, 1]
    assert found.dropped == {"cat": 1}
    with pytest.raises(DataError, match=r"label 3 is none of the 3 .*; --labels coco91 finds 1 humans"):
        names.write_text('{"categories": ["__background__", "lamp", "person"]}')
        read(path, str(names))
    with pytest.raises(DataError, match='"coco18" is neither a file nor a numbering, did you mean "coco91"'):
        read(path, "coco18")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([result(image_id=99)], 'entry 0: image "99" is not among the 2 of hicodet test'),
        ([result(category=12)], r"label 12 is none of the 80 .* \(1\.\.90\); name the labels in a file for --labels"),
        ([result(bbox=(9, 1, -5, 2))], "x1 <= x2"),
        ([result(bbox=(200, 100, 20, 30))], "outside its image of 64 x 48"),
        ([result(category=1, bbox=FRACTIONS)] * 3, "3 of 3 boxes lie within 0..1"),
        ([result(category=1), result(category=1, bbox=FRACTIONS)], "1 of 2 boxes lie within 0..1"),
        ([result(score=1.5)], "score 1.5 is outside 0..1"),
        ([result(score=0.5), result(score=87.5)], r"score 87.5 is outside .*; divide percentages by 100"),
        ([result(score=-0.5)], "score -0.5 is outside 0..1; expected probabilities$"),
        ([{"image_id": 7}], "entry 0 has no bbox"),
        ([result(), 7], "entry 1 is 7; expected image_id"),
        ({"annotations": []}, "expected a list"),
    ],
)
def test_bad_results_are_one_line(tmp_path, rows, message):
    with pytest.raises(DataError, match=message) as caught:
        read(write(tmp_path, rows))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("bbox", [9, 1, 5], "bbox [9, 1, 5], not four finite numbers [x, y, w, h]"),
        ("bbox", [9, 1], "bbox [9, 1], not four"),
        ("bbox", [], "bbox [], not four"),
        ("bbox", [1] * 8, "bbox [1, 1, 1, 1, 1, 1, 1, 1], not four"),
        ("bbox", [1, 1, float("nan"), 2], "bbox [1, 1, nan, 2], not four"),
        ("bbox", [1, 1, float("inf"), 2], "bbox [1, 1, inf, 2], not four"),
        ("bbox", [1, 1, "5", 2], "bbox [1, 1, '5', 2], not four"),
        ("bbox", [1, 1, True, 2], "bbox [1, 1, True, 2], not four"),
        ("bbox", None, "bbox None, not four"),
        ("bbox", [1, 1, 10**400, 2], "not four"),
        ("score", [0.5], "score [0.5], no finite number"),
        ("score", "0.5", "score '0.5', no finite number"),
        ("score", True, "score True, no finite number"),
        ("score", float("nan"), "score nan, no finite number"),
        ("category_id", 1.5, "category_id 1.5, no whole number"),
        ("category_id", True, "category_id True, no whole number"),
        ("category_id", 10**20, "category_id a number of 67 bits, no whole number"),
        ("image_id", 3.7, "image_id 3.7, no whole number"),
        ("image_id", True, "image_id True, no whole number"),
        ("image_id", float("inf"), "image_id inf, no whole number"),
        ("image_id", [12], "image_id [12], no whole number"),
    ],
)
def test_each_value_of_coco_results_is_checked(tmp_path, key, value, message):
    path = write(tmp_path, [result(), result() | {key: value}])
    with pytest.raises(DataError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: not COCO results, entry 1 has ")
    assert message in str(caught.value)


def test_a_number_of_more_digits_than_python_reads_is_one_line(tmp_path):
    path = write(tmp_path, [result()])
    path.write_text(path.read_text().replace("12", "9" * 5000))
    with pytest.raises(DataError, match="holds a number of more than 4300 digits"):
        read(path)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("boxes", [[1, 2, 3]], "a box [1, 2, 3], not four finite numbers [x1, y1, x2, y2]"),
        ("boxes", [1, 2, 3, 4], "a box 1, not four"),
        ("boxes", [[1, 2, 3, 4] * 2], "a box [1, 2, 3, 4, 1, 2, 3, 4], not four"),
        ("boxes", {"0": [1, 2, 3, 4]}, "boxes {'0': [1, 2, 3, 4]}, no list"),
        ("scores", [[0.5]], "a score [0.5], no finite number"),
        ("scores", 0.5, "scores 0.5, no list"),
        ("labels", ["person"], "a label 'person', no whole number"),
        ("labels", [None], "a label None, no whole number"),
        ("labels", [0.5], "a label 0.5, no whole number"),
    ],
)
def test_each_value_of_a_per_image_file_is_checked(tmp_path, key, value, message):
    data = {"boxes": [[1, 2, 3, 4]], "scores": [0.5], "labels": [2]}
    path = tmp_path / "HICO_test2015_00000012.json"
    path.write_text(json.dumps(data))
    assert len(read(tmp_path, "vocabulary").scores) == 1
    path.write_text(json.dumps(data | {key: value}))
    with pytest.raises(DataError) as caught:
        read(tmp_path, "vocabulary")
    assert str(caught.value).startswith(f"{path}: not a detection file, it has {message}")


def test_bad_folders_are_one_line(tmp_path):
    with pytest.raises(DataError, match=r"holds no \.json file"):
        read(tmp_path, "vocabulary")
    path = tmp_path / "HICO_test2015_00000012.json"
    path.write_text('{"boxes": [[1, 2, 3, 4]], "scores": [], "labels": []}')
    with pytest.raises(DataError, match="1 boxes, 0 scores, 0 labels"):
        read(tmp_path, "vocabulary")
    for text, message in (("[]", r"it is \[\]"), ('{"boxes": []}', "it has no scores")):
        path.write_text(text)
        with pytest.raises(DataError, match=f"not a detection file, {message}; expected boxes, scores, labels"):
            read(tmp_path, "vocabulary")
    path.write_text('{"boxes": [[1')
    with pytest.raises(DataError, match="truncated"):
        read(tmp_path, "vocabulary")


@pytest.fixture
def root(tmp_path):
    """A root with the manifest and vocabulary that `prepare` would leave, and params that take the imported file."""
    layout = Layout(tmp_path, "vcoco")
    write_vocabulary(layout.vocabulary, VOCABULARY)
    write_split(layout.split("test"), manifest("vcoco", ("COCO_val2014_000000000294",)))
    document = yaml.safe_load((ROOT / "params.yaml").read_text())
    document["vcoco"]["detect"] |= {"source": "cache/vcoco/imported/{split}.h5", "trained_on": "COCO without V-COCO"}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(document))
    return tmp_path


def test_detect_takes_what_was_imported(root):
    rows = [result(294, 1), result(294), result(294, 2), result(294, 1, bbox=(5, 5, 0, 9))]
    path = write(root, rows)
    call = ["--dataset", "vcoco", "--split", "test", "--root", str(root)]
    done = CliRunner().invoke(main, ["import-proposals", "--input", str(path), *call])
    assert done.exit_code == 0, done.output
    assert "2 proposals, 1 of them humans, in 1 of 1 images" in done.output
    assert "kept 2 categories (person 2, dining table 1); dropped 1 categories (bicycle 1)" in done.output
    assert "and 1 boxes without width or height" in done.output
    assert 'vcoco.detect.source to "cache/vcoco/imported/{split}.h5"' in done.output
    assert "sec. 4.2" in done.output  # nothing was said of what the detector was trained on
    done = CliRunner().invoke(main, ["detect", *call])
    assert done.exit_code == 0, done.output
    assert "sec. 4.2" not in done.output
    layout = Layout(root, "vcoco")
    assert read_proposals(layout.proposals("test")).object_ids.tolist() == [2, 0]
    recorded = json.loads(layout.stage_manifest("detect", "test").read_text())
    assert recorded["params"]["detect"]["trained_on"] == "COCO without V-COCO"
    done = CliRunner().invoke(main, ["verify", "--root", str(root)])
    assert done.exit_code == 0, done.output


def test_detect_says_how_many_boxes_without_width_it_leaves_out(root):
    layout = Layout(root, "vcoco")
    boxes = np.array([[0, 0, 9, 9], [5, 0, 5, 9], [5, 5, 9, 9]], np.float32)
    given = SplitProposals(
        image_ids=("COCO_val2014_000000000294",), objects=VOCABULARY.objects, detector="theirs",
        offsets=np.array([0, 3]), boxes=boxes, scores=np.array([0.9, 0.8, 0.7], np.float32),
        object_ids=np.array([2, 2, 0]),
    )  # fmt: skip
    write_proposals(layout.imported_proposals("test"), **vars(given))
    done = CliRunner().invoke(main, ["detect", "--dataset", "vcoco", "--split", "test", "--root", str(root)])
    assert done.exit_code == 0, done.output
    assert "1 boxes without width or height are left out" in done.output
    assert read_proposals(layout.proposals("test")).boxes.tolist() == boxes[[0, 2]].tolist()
