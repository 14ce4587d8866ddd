import json
import pickle
from dataclasses import asdict

import numpy as np
import pytest
from click.testing import CliRunner

from pipeline.core.types import Detections
from pipeline.data.class_splits import class_split
from pipeline.evaluation.exchange_vcoco import write_vcoco_pickle
from pipeline.evaluation.hicodet import SETTINGS
from pipeline.evaluation.role_detections import RoleDetections
from pipeline.store.detections_dump import write_detections
from pipeline.truth.hicodet_annotations import read_hicodet_json
from pipeline.truth.vcoco_annotations import read_vcoco
from stages.evaluate_detections import command
from tests.evaluation import vcoco_worlds
from tests.truth.real_ground_truth import real_ground_truth
from tests.truth.test_hicodet_annotations import SMALL
from tests.truth.test_hicodet_mat import ACTIONS, TEST, TRAIN, actions, image, interaction, label_file, structs

HICODET = {
    "image_index": np.array([0, 0], np.int32),
    "hoi_id": np.array([2, 0], np.int16),
    "human_boxes": np.array([[0, 0, 10, 20], [4, 4, 5, 5]], np.float32),
    "object_boxes": np.array([[2, 3, 30, 40], [0, 1, 3, 4]], np.float32),
    "scores": np.array([0.9, 0.8], np.float32),
}
ALIGNED = [setting for setting in SETTINGS if setting != "gen_vlkt"]  # whose IoU of a box with itself is 1


@pytest.fixture
def run(tmp_path):
    """Run the command on files under tmp_path; returns the result and the scores, None on failure."""

    def invoke(*arguments, **files):
        options = [part for name, path in files.items() for part in (f"--{name}", str(path))]
        output = tmp_path / "out" / "m.json"
        result = CliRunner().invoke(command, [*arguments, *options, "--output", str(output)])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result, json.loads(output.read_text()) if output.exists() else None

    return invoke


@pytest.fixture
def hicodet(tmp_path, run):
    """Evaluate arrays against the small HICO-DET file."""
    annotations = tmp_path / "annotations.json"
    annotations.write_text(json.dumps(SMALL))

    def invoke(arrays, *arguments, annotations=annotations):
        np.savez(tmp_path / "d.npz", **arrays)
        return run("--dataset", "hicodet", *arguments, annotations=annotations, detections=tmp_path / "d.npz")

    return invoke


def test_scores_replace_scores_and_no_other_file(hicodet, tmp_path):
    for _ in range(2):
        assert hicodet(HICODET)[0].exit_code == 0
    annotations = tmp_path / "annotations.json"
    whole = annotations.read_bytes()
    call = ("--dataset", "hicodet", "--annotations", annotations, "--detections", tmp_path / "d.npz")
    done = CliRunner().invoke(command, [*map(str, call), "--output", str(annotations)])
    assert done.exit_code == 2
    assert "annotations.json: is there already and holds no scores" in done.output
    assert annotations.read_bytes() == whole


@pytest.mark.parametrize("setting", ALIGNED)
def test_hicodet_output_is_the_contract(hicodet, setting):
    result, scores = hicodet(HICODET, "--setting", setting)
    assert result.exit_code == 0
    assert scores == {
        "setting": setting,
        "full": pytest.approx(2 / 3),  # class 1 has no ground truth: null, and 0 in the mean
        "rare": 1.0,
        "non_rare": 0.5,
        "ap": [1.0, None, 1.0],
        "num_gt": [1, 0, 1],
    }
    assert "1 classes have no ground truth" in result.output


def test_settings_of_other_repositories_say_so(hicodet):
    result, scores = hicodet(HICODET, "--setting", "gen_vlkt")
    assert scores["ap"] == [0, None, 1]  # the box of one pixel: 1 of the 4 that its detection is read as
    assert "gen_vlkt is not the official protocol: compare with that repository's tables alone" in result.output


@pytest.mark.parametrize(("whole", "real"), [(np.int64, np.float64), (np.uint8, np.float16), (">i4", ">f4")])
def test_numbers_of_any_width_score_the_same(hicodet, whole, real):
    given = {name: array.astype(real if array.dtype.kind == "f" else whole) for name, array in HICODET.items()}
    (done, scores), (_, expected) = hicodet(given), hicodet(HICODET)
    assert done.exit_code == 0
    assert scores == expected


def test_no_rows_score_0(hicodet):
    result, scores = hicodet({name: array[:0] for name, array in HICODET.items()})
    assert result.exit_code == 0
    assert (scores["full"], scores["ap"]) == (0, [0, None, 0])


@pytest.mark.parametrize(
    "box", [(-1, 0, 1, 5), (0, 0, 66, 5), (-20, -10, 40, 30), (0, 0, 96, 72), (-31, 0, 95, 48), (64, 48, 65, 49)]
)
def test_boxes_of_detectors_that_do_not_clip_are_scored(hicodet, box):
    """Unclipped boxes of a 64 x 48 image: center inside, up to half a side beyond."""
    assert hicodet(HICODET | boxes(*box))[0].exit_code == 0


def test_boxes_are_scored_unclipped(hicodet):
    # The annotated human is (0, 0, 10, 20) and touches the border: clipped to it, this box would hit.
    _, scores = hicodet(HICODET | {"human_boxes": np.array([[-11, 0, 10, 20], [4, 4, 5, 5]], np.float32)})
    assert scores["ap"][2] == 0


def boxes(*corners):
    return {"human_boxes": np.array([[0, 0, 10, 20], corners], np.float32)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hoi_id": np.array([2, 3], np.int16)}, "hoi_id 3 in row 1 is out of range; expected 0..2"),
        ({"hoi_id": np.array([-1, 0], np.int16)}, "hoi_id -1 in row 0"),
        ({"image_index": np.array([0, 2], np.int32)}, "image_index 2 in row 1 is out of range; expected 0..1"),
        ({"hoi_id": np.array([1 << 16, 0])}, "hoi_id 65536 in row 0"),  # 0 in 16 bits
        ({"image_index": np.array([0.0, 0.0])}, "image_index is float64 [2]; expected integer [T]"),
        ({"scores": np.array(["a", "b"])}, "scores is <U1 [2]; expected floating [T = 2]"),
        ({"scores": np.array([0.9], np.float32)}, "scores is float32 [1]; expected floating [T = 2]"),
        ({"scores": np.array([[0.9], [0.8]], np.float32)}, "scores is float32 [2, 1]; expected floating [T = 2]"),
        ({"scores": np.array([0.9, 1e300])}, "scores: row 1 is inf"),
        ({"scores": np.array([0.9, np.nan], np.float32)}, "scores: row 1 is nan"),
        ({"scores": np.array([np.inf, 0], np.float32)}, "scores: row 0 is inf"),
        ({"human_boxes": np.zeros((2, 5), np.float32)}, "human_boxes is float32 [2, 5]; expected floating [T = 2, 4]"),
        (boxes(0, 0, np.nan, 5), "human_boxes: box 1 is [0.0, 0.0, nan, 5.0]; expected finite"),
        (boxes(9, 0, 3, 5), "human_boxes: box 1 is [9.0, 0.0, 3.0, 5.0]; expected finite x1 <= x2"),
        (boxes(0, 0, 98, 5), "box 1 is [0.0, 0.0, 98.0, 5.0], outside its image of 64 x 48 pixels (1 boxes are)"),
        (boxes(-34, 0, 64, 5), "outside its image"),
        (boxes(0, 0, 6, 74), "outside its image"),
        (boxes(0, -26, 6, 40), "outside its image"),
        (boxes(66, 0, 70, 5), "expected x1, y1, x2, y2 in original-image pixels, the center in the image"),
        (boxes(0, 47, 6, 54), "outside its image"),
        (boxes(-5, 0, 1, 5), "outside its image"),
        (boxes(0, -5, 6, 1), "outside its image"),
        (boxes(500, 500, 600, 600), "outside its image"),
        (boxes(-3e38, -3e38, 3e38, 3e38), "outside its image"),
        ({"object_boxes": np.full((2, 4), np.inf, np.float32)}, "object_boxes: box 0"),
    ],
)
def test_bad_detections_are_one_line_and_exit_2(hicodet, changes, message):
    result, scores = hicodet(HICODET | changes)
    assert result.exit_code == 2
    assert message in result.output
    assert result.output.startswith("Error: ")
    assert result.output.count("\n") == 1
    assert scores is None


def single_array(path):
    with path.open("wb") as file:
        np.save(file, np.zeros(3))


def pickled(path):
    np.savez(path, **(HICODET | {"scores": np.array([{}, {}], dtype=object)}))


def truncated(path):
    np.savez(path, **HICODET)
    path.write_bytes(path.read_bytes()[:300])


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda path: np.savez(path), "missing, found no array at all"),
        (lambda path: np.savez(path, scores=np.zeros(1)), "image_index, hoi_id, human_boxes, object_boxes missing"),
        (lambda path: path.write_bytes(b""), "not a readable npz file"),
        (lambda path: path.write_bytes(b"hello"), "not a readable npz file without pickle (not a zip archive)"),
        (lambda path: path.mkdir(), "a folder without detections_01.mat"),
        (single_array, "a single array (npy)"),
        (truncated, "not a readable npz file"),
        (pickled, "not a readable npz file without pickle (an array of objects)"),
        (lambda path: None, "does not exist"),
    ],
)
def test_bad_files_are_one_line_and_exit_2(tmp_path, run, write, message):
    (tmp_path / "annotations.json").write_text(json.dumps(SMALL))
    write(tmp_path / "bad.npz")
    result, _ = run("--dataset", "hicodet", annotations=tmp_path / "annotations.json", detections=tmp_path / "bad.npz")
    assert result.exit_code == 2
    assert message in result.output


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("truncated.json", json.dumps(SMALL)[:200], "truncated"),
        ("coco.json", '{"images": [], "annotations": [], "categories": []}', "not HICO-DET annotations"),
        ("vcoco.json", '[{"role_object_id": []}]', "looks like an official V-COCO file"),
        ("other.mat", "nonsense", "not a readable MATLAB file"),
        ("inverted.json", json.dumps(SMALL).replace("[1.0, 1.0, 10.0, 20.0]", "[10, 1, 1, 20]"), "human box of pair 0"),
    ],
)
def test_bad_annotations_are_one_line_and_exit_2(tmp_path, hicodet, name, content, message):
    (tmp_path / name).write_text(content)
    result, _ = hicodet(HICODET, annotations=tmp_path / name)
    assert result.exit_code == 2
    assert message in result.output
    assert result.output.count("\n") == 1


def test_zarr_detections_score_the_same(tmp_path, hicodet, run):
    _, expected = hicodet(HICODET)
    write_detections(tmp_path / "d.zarr", [Detections(**HICODET)])
    files = {"annotations": tmp_path / "annotations.json", "detections": tmp_path / "d.zarr"}
    assert run("--dataset", "hicodet", **files)[1] == expected
    write_detections(tmp_path / "d.zarr", [Detections(**(HICODET | boxes(0, 0, 98, 5)))])
    result, _ = run("--dataset", "hicodet", **files)
    assert result.exit_code == 2
    assert "rows from 0 on: human_boxes: box 1 is [0.0, 0.0, 98.0, 5.0], outside its image" in result.output


def test_zarr_detections_that_are_not_whole_are_one_line(tmp_path, hicodet, run):
    hicodet(HICODET)
    (tmp_path / "out" / "m.json").unlink()
    chunk = tmp_path / "d.zarr" / "scores" / "c" / "0"

    def damage():
        chunk.write_bytes(b"x" + chunk.read_bytes()[1:])

    def link():
        chunk.rename(tmp_path / "elsewhere")
        chunk.symlink_to(tmp_path / "elsewhere")

    for change, message in ((chunk.unlink, "scores has 0 chunks"), (damage, "damaged"), (link, "a link that leads")):
        write_detections(tmp_path / "d.zarr", [Detections(**HICODET)])
        change()
        files = {"annotations": tmp_path / "annotations.json", "detections": tmp_path / "d.zarr"}
        result, scores = run("--dataset", "hicodet", **files)
        assert (result.exit_code, scores) == (2, None)
        assert message in result.output and result.output.count("\n") == 1


def test_a_failed_run_leaves_an_older_result_alone(tmp_path, hicodet):
    _, before = hicodet(HICODET)
    result, after = hicodet({})
    assert result.exit_code == 2
    assert after == before
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["m.json"]


def test_official_mat_files(tmp_path, run):
    from scipy.io import savemat

    bbox = tmp_path / "anno_bbox.mat"
    savemat(bbox, {"bbox_train": structs(TRAIN), "bbox_test": structs(TEST), "list_action": actions(ACTIONS)})
    labels = label_file(tmp_path, [[0, 1], [1, 0], [0, 0]])
    found = {
        "image_index": np.array([1, 0, 0], np.int32),
        "hoi_id": np.array([1, 1, 1], np.int16),
        "human_boxes": np.array([[0, 0, 1, 1], [0, 0, 10, 20], [2, 2, 6, 6]], np.float32),
        "object_boxes": np.array([[0, 0, 1, 1], [2, 3, 30, 40], [2, 3, 30, 40]], np.float32),
        "scores": np.array([0.9, 0.8, 0.7], np.float32),
    }
    np.savez(tmp_path / "d.npz", **found)
    files = {"annotations": bbox, "detections": tmp_path / "d.npz"}
    _, default = run("--dataset", "hicodet", **files)
    assert default["ap"][1] == pytest.approx(2 / 3)
    result, known = run("--dataset", "hicodet", "--setting", "known_object", "--image-labels", str(labels), **files)
    assert known["ap"][1] == 1  # image 1 shows no interaction with a person
    assert "image-level labels" in result.output


@pytest.mark.parametrize("box", [(30, 4, 3, 40), (300, 400, 310, 420)])
def test_official_mat_boxes_are_checked_like_the_json_forms(tmp_path, run, box):
    from scipy.io import savemat

    test = [image("test0.jpg", [interaction(2, [(1, 1, 10, 20)], [box], [(1, 1)])])]
    bbox = tmp_path / "anno_bbox.mat"
    savemat(bbox, {"bbox_train": structs(TRAIN), "bbox_test": structs(test), "list_action": actions(ACTIONS)})
    np.savez(tmp_path / "d.npz", **{name: array[:0] for name, array in HICODET.items()})
    result, scores = run("--dataset", "hicodet", annotations=bbox, detections=tmp_path / "d.npz")
    assert (result.exit_code, scores) == (2, None)
    assert 'anno_bbox.mat: object box of pair 0, image "test0.jpg" of 64 x 48 pixels, is [' in result.output
    assert result.output.count("\n") == 1


def test_official_mat_of_the_wrong_release(tmp_path, run):
    labels = label_file(tmp_path, [[0, 1]])
    np.savez(tmp_path / "d.npz", **HICODET)
    result, _ = run("--dataset", "hicodet", annotations=labels, detections=tmp_path / "d.npz")
    assert result.exit_code == 2
    assert "release 20160224" in result.output


@pytest.fixture
def vcoco(tmp_path, run):
    objects = [(1, 10, 1, (0, 0, 20, 40)), (2, 10, 2, (20, 10, 30, 20))]
    people = [(1, 10, {"hold": (2,), "walk": (), "cut": (0, 2), "point": (0,)})]
    vcoco_worlds.annotations(tmp_path, people, vcoco_worlds.instances(2, objects))
    ann, cup = (0, 0, 20, 40), (20, 10, 30, 20)
    rows = [
        (10, 0, 1, ann, cup, 0.9),
        (10, 1, 0, ann, vcoco_worlds.NOTHING, 0.8),
        (10, 2, 1, ann, cup, 0.7),
        (10, 2, 2, ann, cup, 0.6),
    ]
    arrays = asdict(vcoco_worlds.role_detections(rows))

    def invoke(changes=None, *arguments, instances=tmp_path / "instances.json", detections="d.npz"):
        np.savez(tmp_path / "d.npz", **(arrays | (changes or {})))
        files = {"annotations": tmp_path / "vcoco.json", "detections": tmp_path / detections}
        return run("--dataset", "vcoco", *arguments, **files, **({"instances": instances} if instances else {}))

    return invoke


def test_vcoco_output_is_the_contract(vcoco):
    result, scores = vcoco()
    assert result.exit_code == 0
    assert scores == {
        "ap_role_s1": pytest.approx(2 / 3),
        "ap_role_s2": 1.0,
        "ap_role_s1_25": 0.5,
        "ap_role_s2_25": 0.75,
        "ap_agent": pytest.approx((1 + 1 + 1 + 0) / 4),
        "per_role": {
            "hold obj": {"s1": 1.0, "s2": 1.0},
            "cut instr": {"s1": 0.0, "s2": 1.0},
            "cut obj": {"s1": 1.0, "s2": 1.0},
            "point instr": {"s1": 0.0, "s2": 0.0},
        },
        "per_agent": {"hold": 1.0, "walk": 1.0, "cut": 1.0, "point": 0.0},
    }


def write_pickle(folder):
    """The rows of d.npz as the official pickle."""
    truth = read_vcoco(folder / "vcoco.json", folder / "instances.json")
    with np.load(folder / "d.npz") as arrays:
        write_vcoco_pickle(folder / "d.pkl", RoleDetections(**arrays), truth)


def test_vcoco_official_pickle(vcoco, tmp_path):
    _, expected = vcoco()
    write_pickle(tmp_path)
    result, scores = vcoco(detections="d.pkl")
    assert result.exit_code == 0
    assert scores == expected
    people = pickle.loads((tmp_path / "d.pkl").read_bytes())
    for changes, message in (
        ({"person_box": [500, 500, 600, 600]}, "human_boxes: box 0 is [500.0, 500.0, 601.0, 601.0], outside its image"),
        ({"hold_obj": [9, 0, 3, 5, 0.5]}, "role_boxes: box 0 is [9.0, 0.0, 4.0, 6.0]; expected finite x1 <= x2"),
        ({"image_id": 11}, "image_id 11 in row 0 is not among the 2 images"),
    ):
        (tmp_path / "d.pkl").write_bytes(pickle.dumps([people[0] | changes]))
        result, _ = vcoco(detections="d.pkl")
        assert result.exit_code == 2
        assert message in result.output
    (tmp_path / "d.pkl").write_bytes(pickle.dumps(print))
    result, _ = vcoco(detections="d.pkl")
    assert result.exit_code == 2
    assert "it names builtins.print" in result.output
    assert result.output.count("\n") == 1


def test_vcoco_ties_by_name(vcoco):
    """The last image comes first in the official file; here the first row is right, the one of image 20 wrong."""
    ann = np.array([[0, 0, 20, 40]] * 2, np.float32)
    cup = np.array([[20, 10, 30, 20]] * 2, np.float32)
    rows = {"image_id": np.array([10, 20]), "human_boxes": ann, "role_boxes": cup, "scores": np.float32([0.5, 0.5])}
    rows |= {name: np.array(value, np.int16) for name, value in (("action_id", [0, 0]), ("role_index", [1, 1]))}
    assert vcoco(rows)[1]["per_role"]["hold obj"]["s1"] == 1
    assert vcoco(rows, "--ties", "row_order")[1]["per_role"]["hold obj"]["s1"] == 1
    assert vcoco(rows, "--ties", "official")[1]["per_role"]["hold obj"]["s1"] == 0.5
    assert "'official'" in vcoco(rows, "--ties", "random")[0].output


def test_vcoco_classes_without_positives_are_told(vcoco, tmp_path):
    assert vcoco()[0].stderr == ""
    vcoco_worlds.annotations(tmp_path, [(1, 10, {"hold": (2,)})], json.loads((tmp_path / "instances.json").read_text()))
    result, scores = vcoco()
    assert "Note: 3 of 4 verb-roles and 3 of 4 actions have no annotated person: null in the file" in result.stderr
    assert result.stdout.count("\n") == 1
    assert scores["per_agent"] == {"hold": 1, "walk": None, "cut": None, "point": None}
    assert scores["ap_agent"] == 0.25


def far(count):
    return np.array([[90, 90, 99, 99]] * count, np.float32)


def test_vcoco_detections_that_meet_nobody_are_told(vcoco, tmp_path):
    result, scores = vcoco({"human_boxes": far(4)})
    assert (result.exit_code, scores["ap_agent"]) == (0, 0)
    assert "Note: no detection meets an annotated box: none of 4 overlaps a person who does its action" in result.stderr
    assert "of this split" in result.stderr and "no detection" not in result.stdout
    result, _ = vcoco({"human_boxes": far(4) / 100, "role_boxes": np.full((4, 4), np.nan, np.float32)})
    assert "all boxes lie in 0..1, expected pixels" in result.stderr
    write_pickle(tmp_path)
    result, _ = vcoco(detections="d.pkl")
    assert "no detection meets an annotated box" in result.stderr


def test_hicodet_detections_that_meet_nothing_are_told(tmp_path, hicodet, run):
    assert "no detection" not in hicodet(HICODET)[0].stderr
    assert "no detection" not in hicodet({name: array[:0] for name, array in HICODET.items()})[0].stderr
    result, scores = hicodet(HICODET | {"hoi_id": np.array([1, 1], np.int16)})
    assert (result.exit_code, scores["full"]) == (0, 0)
    assert "Note: no detection meets an annotated box: none of 2 overlaps a pair of its image and HOI" in result.stderr
    unit = {name: HICODET[name] / 64 for name in ("human_boxes", "object_boxes")}
    result, _ = hicodet(HICODET | unit)
    assert "all boxes lie in 0..1, expected pixels: multiply them by the image's width and height" in result.stderr
    write_detections(tmp_path / "d.zarr", [Detections(**(HICODET | unit))])
    files = {"annotations": tmp_path / "annotations.json", "detections": tmp_path / "d.zarr"}
    result, _ = run("--dataset", "hicodet", **files)
    assert "none of 2 overlaps" in result.stderr and "all boxes lie in 0..1" in result.stderr


def test_vcoco_nan_scores_and_empty_roles_are_legal(vcoco):
    result, scores = vcoco({"scores": np.full(4, np.nan, np.float32), "role_boxes": np.full((4, 4), np.nan, "f4")})
    assert result.exit_code == 0
    assert scores["ap_role_s2"] == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_id": np.array([10, 10, 10, 30])}, "image_id 30 in row 3 is not among the 2 images"),
        ({"image_id": np.array([10, 10, 10, 10], np.int32)}, "image_id is int32 [4]; expected int64 [T]"),
        ({"action_id": np.array([0, 1, 2, 4], np.int16)}, "action_id 4 in row 3 is out of range"),
        ({"role_index": np.array([1, 0, 1, 3], np.int16)}, "role_index 3 in row 3 is out of range"),
        ({"human_boxes": np.full((4, 4), np.nan, np.float32)}, "human_boxes: box 0"),
        ({"role_boxes": np.array([[0, 0, np.nan, 1]] * 4, np.float32)}, "role_boxes: box 0"),
        ({"role_boxes": np.array([[0, 0, 500, 1]] * 4, np.float32)}, "outside its image of 100 x 100"),
    ],
)
def test_vcoco_bad_detections(vcoco, changes, message):
    result, _ = vcoco(changes)
    assert result.exit_code == 2
    assert message in result.output
    assert result.output.count("\n") == 1


def test_options_of_the_other_dataset_are_refused(vcoco, hicodet, tmp_path):
    assert "--instances is missing" in vcoco(instances=None)[0].output
    assert "belong to --dataset hicodet" in vcoco({}, "--setting", "known_object")[0].output
    assert "--ties belongs to --dataset vcoco" in hicodet(HICODET, "--ties", "official")[0].output
    assert "belongs to --dataset vcoco" in hicodet(HICODET, "--instances", str(tmp_path / "i.json"))[0].output
    assert "anno.mat: does not exist" in hicodet(HICODET, "--image-labels", str(tmp_path / "anno.mat"))[0].output


def test_known_object_of_the_json_form_with_image_level_labels(tmp_path, hicodet):
    """Class 2 is right in a.jpg; a wrong one in b.jpg counts there only if b.jpg is labeled with a person."""
    found = {name: np.concatenate([array[:1]] * 2) for name, array in HICODET.items()}
    small = np.float32([[0, 0, 10, 20], [0, 0, 9, 9]])
    found |= {"image_index": np.array([0, 1], np.int32), "scores": np.float32([0.5, 0.9]), "human_boxes": small}
    found["object_boxes"] = np.float32([[2, 3, 30, 40], [0, 0, 9, 9]])
    options = ("--setting", "known_object")
    result, scores = hicodet(found, *options)
    assert scores["ap"][2] == 1 and "from annotated pairs" in result.output
    labels = label_file(tmp_path, [[1, 0], [0, 0], [1, 1]], ("a.jpg", "b.jpg"))
    result, scores = hicodet(found, *options, "--image-labels", str(labels))
    assert scores["ap"][2] == 0.5 and "from image-level labels" in result.output


def write_oracle(path, truth, rows):
    """Annotated pairs as detections of score 1."""
    pairs = truth.image_index, truth.hoi_id, truth.human_boxes, truth.object_boxes
    ones = np.ones(len(truth.hoi_id), np.float32)
    np.savez(path, **asdict(Detections(*(column[rows] for column in (*pairs, ones)))))


@pytest.mark.parametrize("setting", ALIGNED)
def test_real_ground_truth_as_detections_scores_1(tmp_path, run, setting):
    path = real_ground_truth("hicodet", "instances_test2015.json")
    truth = read_hicodet_json(path).truth
    write_oracle(tmp_path / "d.npz", truth, slice(None))
    _, scores = run("--dataset", "hicodet", "--setting", setting, annotations=path, detections=tmp_path / "d.npz")
    assert (scores["full"], scores["rare"], scores["non_rare"]) == (1, 1, 1)
    assert len(scores["ap"]) == len(scores["num_gt"]) == 600
    assert sum(scores["num_gt"]) == 33405


def test_shuffled_real_detections_score_the_same(tmp_path, run):
    path = real_ground_truth("hicodet", "instances_test2015.json")
    annotations = read_hicodet_json(path)
    truth, sizes = annotations.truth, annotations.sizes
    rng = np.random.default_rng(0)
    jitter = rng.normal(0, 10, (2, len(truth.hoi_id), 4)).astype(np.float32)
    limits = np.tile(sizes[truth.image_index], 2).astype(np.float32)
    humans, objects = (
        np.clip(boxes + noise, 0, limits)
        for boxes, noise in zip((truth.human_boxes, truth.object_boxes), jitter, strict=True)
    )
    for boxes in (humans, objects):
        boxes[:, 2:] = np.maximum(boxes[:, 2:], boxes[:, :2])
    scores = rng.permutation(len(humans)).astype(np.float32)
    found = Detections(truth.image_index, truth.hoi_id, humans, objects, scores)
    order = rng.permutation(len(found))
    shuffled = {name: array[order] for name, array in asdict(found).items()}
    figures = []
    for arrays in (asdict(found), shuffled):
        np.savez(tmp_path / "d.npz", **arrays)
        figures.append(run("--dataset", "hicodet", annotations=path, detections=tmp_path / "d.npz")[1])
    assert figures[0] == figures[1]
    assert 0.1 < figures[0]["full"] < 0.99


def test_real_unseen_classes_are_scored_apart(tmp_path, run):
    """An oracle scores 1 in both groups; without its detections of unseen classes 0 there, and seen ones stay."""
    path = real_ground_truth("hicodet", "instances_test2015.json")
    annotations = read_hicodet_json(path)
    unseen, scored = class_split("rf_uc", annotations.vocabulary).unseen, {}
    for name, kept in (("all", unseen | True), ("seen", ~unseen)):
        write_oracle(tmp_path / "d.npz", annotations.truth, kept[annotations.truth.hoi_id])
        _, scored[name] = run(
            "--dataset", "hicodet", "--split", "rf_uc", annotations=path, detections=tmp_path / "d.npz"
        )
    assert {name: scored["all"][name] for name in ("unseen", "seen", "full")} == {"unseen": 1, "seen": 1, "full": 1}
    assert (scored["seen"]["unseen"], scored["seen"]["seen"]) == (0, 1)
    assert scored["seen"]["full"] == pytest.approx(480 / 600)


def test_splits_that_do_not_fit_are_one_line(hicodet):
    for name, message in (
        ("rf_uk", "'rf_uk' is not one of 'rf_uc', "),
        ("uc1", '"uc1" is of the 600 HOI classes of HICO-DET'),
    ):
        result, scores = hicodet(HICODET, "--split", name)
        assert result.exit_code == 2 and scores is None
        assert message in result.output and result.output.count("\n") == 1
