"""Bad manifests through every command that reads them: one line that names the file, nothing written."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.bad_manifests import BAD, NOT_MANIFESTS
from tests.roots import copied, refused

pytestmark = pytest.mark.slow

READERS = {  # every command that reads a split manifest, with the split that it reads
    "detect": ("train", ["--split", "train"]),
    "import-proposals": ("train", ["--split", "train", "--input", "params.yaml"]),
    "train": ("train", []),
    "infer": ("test", []),
    "evaluate": ("test", []),
    "report": ("test", []),
    "represent": ("test", []),
    "export": ("test", ["--format", "hicodet-mat", "--output", "official"]),
}


@pytest.fixture(scope="module")
def root(own_dataset, tmp_path_factory):
    """As handed over by a stranger: without the run manifests, whose digests would tell before any reader does."""
    root = copied(own_dataset, tmp_path_factory.mktemp("bad") / "root")
    shutil.rmtree(root / "manifests/custom/runs")
    return root


@pytest.fixture(scope="module")
def whole(own_dataset, tmp_path_factory):
    """With its run manifests."""
    return copied(own_dataset, tmp_path_factory.mktemp("whole") / "root")


def refused_and_nothing_written(root, *call) -> str:
    before = state(root)
    line = refused(root, *call)
    assert state(root) == before
    return line


def state(root) -> dict:
    """Time of the last change of everything but the folder of locks, where each call leaves nothing."""
    assert not list((root / "cache/locks").glob("*"))
    return {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.name != "locks"}


class Damaged:
    """A file of JSON with other content for the time of a `with`."""

    def __init__(self, path, damage):
        self.path, self.damage, self.whole = path, damage, path.read_text()

    def __enter__(self):
        document = json.loads(self.whole)
        self.path.write_text(self.damage if isinstance(self.damage, str) else json.dumps(self.damage(document)))

    def __exit__(self, *_):
        self.path.write_text(self.whole)


def changed(damage):
    def apply(document):
        damage(document)
        return document

    return apply


@pytest.mark.parametrize("name", READERS)
def test_every_command_refuses_boxes_in_a_manifest(root, monkeypatch, name):
    monkeypatch.chdir(root)
    split, options = READERS[name]
    path = root / f"manifests/custom/{split}.json"
    damage, expected = BAD["boxes of an image"]
    with Damaged(path, changed(damage)):
        line = refused_and_nothing_written(root, name, "--dataset", "custom", *options)
    assert line.startswith(f"Error: {path}: ")
    assert expected in line


def test_training_refuses_every_bad_manifest(root):
    path = root / "manifests/custom/train.json"
    damages = {name: (changed(damage), expected) for name, (damage, expected) in BAD.items()}
    damages |= {name: (text, ": not ") for name, text in NOT_MANIFESTS.items()}
    for damage, expected in damages.values():
        with Damaged(path, damage):
            line = refused_and_nothing_written(root, "train", "--dataset", "custom")
        assert line.startswith(f"Error: {path}: ")
        assert expected in line


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda d: d["objects"].reverse(), 'train.h5: object categories row 0 is "person", expected "'),
        (lambda d: d["hoi_classes"].append(["fly", "kite"]), 'HOI class "fly kite" names an unknown verb'),
        (lambda d: d["verbs"].append(d["verbs"][0]), "vocabulary: verbs holds"),
        (lambda d: d["objects"].remove("person"), 'human category "person" is not among'),
        (lambda d: d["hoi_classes"].pop(), "HOI id"),
        (lambda d: d.pop("human"), "vocabulary: KeyError('human')"),
        (lambda d: d.update(objects=3), "vocabulary: TypeError("),
        (lambda d: d.update(hoi_classes=[[["ride"], "horse"]]), "vocabulary: "),
    ],
)
def test_training_refuses_another_vocabulary(root, damage, expected):
    """Against proposals, labels or itself; checkpoints and dumps: test_user_errors."""
    with Damaged(root / "manifests/custom/vocabulary.json", changed(damage)):
        assert expected in refused_and_nothing_written(root, "train", "--dataset", "custom")


def test_rerun_refuses_a_manifest_that_no_stage_wrote(whole):
    """It runs what the manifest names; further cases: test_scratch."""
    path = whole / "manifests/custom/runs/infer-ours-test.json"
    for damage, expected in (
        (lambda d: d.update(schema_version=2), "schema 2, expected 1"),
        (lambda d: d["params"]["infer"].update(batch_size=99), "params digest is "),
        (lambda d: d.pop("counts"), "not a stage manifest"),
        (lambda d: d.update(stage="cli"), 'no stage "cli" writes manifests'),
        (lambda d: d["inputs"].update({"../../x": "0" * 64}), 'input "../../x" leaves the repository'),
    ):
        with Damaged(path, changed(damage)):
            assert expected in refused_and_nothing_written(whole, "rerun", str(path))
