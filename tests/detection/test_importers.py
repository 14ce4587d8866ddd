import json

import numpy as np
import pytest
import yaml
from click.testing import CliRunner

from pipeline.core.errors import DataError
from pipeline.core.layout import Layout
from pipeline.core.types import ImageLabels, ImageRecord
from pipeline.core.vocabulary import Vocabulary
from pipeline.data.coco_categories import COCO_80, COCO_91, object_ids_of
from pipeline.data.hicodet_annotations import read_hicodet_json
from pipeline.data.split import SplitManifest, write_split
from pipeline.detection.importers import import_proposals
from pipeline.store.proposals_file import read_proposals
from pipeline.store.vocabulary_file import write_vocabulary
from stages.cli import main
from tests.conftest import ROOT
from tests.data.real_ground_truth import real_ground_truth

# A vocabulary in HICO-DET's manner: alphabetical, with underscores, and a category that COCO lacks.
VOCABULARY = Vocabulary(("dining_table", "lamp", "person"), ("sit_at",), ((0, 0),))


def manifest(dataset="hicodet", ids=("HICO_test2015_00000007", "HICO_test2015_00000012")):
    records = tuple(ImageRecord(name, f"test2015/{name}.jpg", 64, 48, "0" * 64) for name in ids)
    labels = tuple(ImageLabels(name, np.zeros(0, np.int64)) for name in ids)
    return SplitManifest(dataset, "test", "images", records, labels)


def result(image_id=12, category=67, bbox=(10, 10, 20, 30), score=0.5):
    return {"image_id": image_id, "category_id": category, "bbox": list(bbox), "score": score}


def read(path, labels="coco91", **keywords):
    return import_proposals(path, manifest(**keywords), VOCABULARY, labels=labels, detector="theirs")


def write(tmp_path, rows):
    (tmp_path / "results.json").write_text(json.dumps(rows))
    return tmp_path / "results.json"


def test_coco_ids_reach_hicodets_objects_by_name_and_back():
    objects = read_hicodet_json(real_ground_truth("hicodet", "instances_test2015.json")).vocabulary
    for numbering in (COCO_91, COCO_80):
        assert len(numbering) == 80
        ids = object_ids_of(np.array(list(numbering)), numbering, objects)
        assert sorted(ids) == list(range(80))
        back = {objects.objects[object_id].replace("_", " "): label for object_id, label in zip(ids, numbering)}  # noqa: B905
        assert {label: name for name, label in back.items()} == numbering
    # by hand, from COCO's own list
    by_hand = {1: "person", 13: "stop_sign", 28: "umbrella", 67: "dining_table", 90: "toothbrush"}
    for label, name in by_hand.items():
        assert objects.objects[object_ids_of(np.array([label]), COCO_91, objects)[0]] == name
    by_hand = {0: "person", 11: "stop_sign", 25: "umbrella", 60: "dining_table", 79: "toothbrush"}
    for label, name in by_hand.items():
        assert objects.objects[object_ids_of(np.array([label]), COCO_80, objects)[0]] == name


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
    path = write(tmp_path, [result(294)])
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


def test_no_detection_at_all(tmp_path):
    assert read(write(tmp_path, [])).offsets.tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([result(image_id=99)], 'image "99" is not among the 2 of hicodet test'),
        ([result(category=12)], "label 12 is none of the 80"),
        ([result(bbox=(1, 1, float("nan"), 2))], "finite"),
        ([result(bbox=(9, 1, -5, 2))], "x1 <= x2"),
        ([result(bbox=(9, 1, 5))], "not COCO results"),
        ([result(bbox=(200, 100, 20, 30))], "outside its image of 64 x 48"),
        ([result(category=1.5)], "labels are not whole numbers"),
        ([result(score=1.5)], "score 1.5 is outside 0..1"),
        ([result(score=float("nan"))], "score nan is outside"),
        ([{"image_id": 7}], "not COCO results"),
        ({"annotations": []}, "expected a list"),
    ],
)
def test_bad_results_are_one_line(tmp_path, rows, message):
    with pytest.raises(DataError, match=message) as caught:
        read(write(tmp_path, rows))
    assert "\n" not in str(caught.value)


def test_bad_folders_are_one_line(tmp_path):
    with pytest.raises(DataError, match=r"holds no \.json file"):
        read(tmp_path, "vocabulary")
    path = tmp_path / "HICO_test2015_00000012.json"
    path.write_text('{"boxes": [[1, 2, 3, 4]], "scores": [], "labels": []}')
    with pytest.raises(DataError, match="1 boxes, 0 scores, 0 labels"):
        read(tmp_path, "vocabulary")
    for labels in ('["person"]', "[null]", "[0.5]"):
        path.write_text('{"boxes": [[1, 2, 3, 4]], "scores": [0.5], "labels": ' + labels + "}")
        with pytest.raises(DataError, match="not a detection file"):
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
    path = write(root, [result(294, 1), result(294)])
    call = ["--dataset", "vcoco", "--split", "test", "--root", str(root)]
    done = CliRunner().invoke(main, ["import-proposals", "--input", str(path), *call])
    assert done.exit_code == 0, done.output
    assert "2 proposals, 1 of them humans" in done.output
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
