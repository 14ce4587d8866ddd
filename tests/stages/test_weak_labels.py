"""Labels that nobody annotated: of captions in `prepare` or beside it, of CLIP by `label`; and who learns from them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipeline.config.layout import Layout
from pipeline.core.label_rows import LabelRows
from pipeline.data.split import SplitManifest, read_split
from pipeline.labeling.clip_scores import ClipScoreWork
from pipeline.labeling.quality import agreement
from pipeline.store.image_labels_file import read_image_labels
from pipeline.store.vocabulary_file import read_vocabulary
from tests.roots import copied, edit_params, new_root, refused, repeats, succeeds, weakhoi

pytestmark = pytest.mark.slow

TOY = ("--dataset", "toyworld")
COUNTS = {"train": 24, "val": 2, "test": 2}
RUNS = "manifests/toyworld/runs"


def small(document) -> None:
    toyworld = document["toyworld"]
    toyworld["prepare"]["num_images"] = COUNTS
    toyworld["label"] = {"batch_size": 4, "part_size": 8}
    toyworld["train"] |= {"epochs": 1, "checkpoint_every": 1}


def up_to_labels(root: Path) -> Path:
    for stage in (("prepare",), ("detect", "--split", "train"), ("encode-prompts",), ("label",)):
        succeeds(root, stage[0], *TOY, *stage[1:])
    return root


@pytest.fixture(scope="module")
def labeled(tmp_path_factory) -> Path:
    """A small toyworld with annotated labels, and those of captions and of CLIP beside them."""
    root = up_to_labels(new_root(tmp_path_factory.mktemp("labeled"), small))
    succeeds(root, "label-captions", *TOY)
    return root


@pytest.fixture
def root(labeled, tmp_path) -> Path:
    return copied(labeled, tmp_path / "root")


def set_prepare(root: Path, **changes) -> None:
    edit_params(root, lambda document: document["toyworld"]["prepare"].update(changes))


def manifest_of(root: Path, run: str) -> dict:
    return json.loads((root / f"{RUNS}/{run}.json").read_text())


def split_of(root: Path, name: str) -> SplitManifest:
    layout = Layout(root, "toyworld")
    return read_split(layout.split(name), read_vocabulary(layout.vocabulary))


def rows_of(root: Path, source: str) -> LabelRows:
    path = Layout(root, "toyworld").image_labels(source)
    return read_image_labels(path, source, split_of(root, "train").image_ids, 40).rows(40)


def test_labels_of_both_sources_say_much_of_what_is_annotated(labeled):
    annotated = split_of(labeled, "train").label_rows(40)
    assert split_of(labeled, "train").label_source == "annotated"
    assert agreement(rows_of(labeled, "captions"), annotated)["precision"] > 70
    assert agreement(rows_of(labeled, "clip"), annotated)["precision"] > 3 * 100 * annotated.mask().mean()


def test_manifests_repeat_them(root):
    succeeds(root, "verify", "--images")
    repeats(root, f"{RUNS}/label.json", f"{RUNS}/label_captions.json")
    set_prepare(root, labels="captions")
    succeeds(root, "prepare", *TOY)
    repeats(root, f"{RUNS}/prepare.json")
    succeeds(root, "verify", "--images", str(root / f"{RUNS}/prepare.json"))


def test_prepare_gives_the_training_images_the_labels_of_captions_and_nothing_else(root, labeled):
    set_prepare(root, labels="captions")
    line = succeeds(root, "prepare", *TOY).output
    assert line.startswith("captions: ") and "training images have labels" in line
    train = split_of(root, "train")
    assert train.label_source == "captions"
    assert (train.label_rows(40).mask() == rows_of(labeled, "captions").mask()).all()
    for path in ("manifests/toyworld/test.json", "cache/toyworld/ground_truth/test.json"):
        assert (root / path).read_bytes() == (labeled / path).read_bytes()
    report = manifest_of(root, "prepare")["counts"]["captions"]
    assert report == manifest_of(labeled, "label_captions")["counts"]["captions"]


def test_clip_labels_the_same_images_alike_where_no_annotated_label_was_written(root, labeled):
    set_prepare(root, labels="clip")
    up_to_labels(root)
    assert not split_of(root, "train").label_rows(40).labeled.any()
    path = "cache/toyworld/image_labels/clip.h5"
    assert (root / path).read_bytes() == (labeled / path).read_bytes()
    succeeds(root, "train", *TOY, "--variant", "ours")
    assert manifest_of(root, "train-ours")["counts"]["labels"] == "clip"
    assert path in manifest_of(root, "train-ours")["inputs"]
    line = refused(root, "train", *TOY, "--variant", "ours+train.labels=annotated")
    assert "train.labels is annotated, but toyworld.prepare.labels is clip" in line
    assert "expected annotated ones to compare with" in refused(root, "label-quality", *TOY)
    assert "training with boxes needs annotated" in refused(root, "label-pairs", *TOY)


def test_a_row_learns_from_the_labels_that_it_names_alone(root):
    names = {"ours": "annotated", "ours_captions": "captions", "ours_clip_labels": "clip"}
    for row, source in names.items():
        succeeds(root, "train", *TOY, "--variant", row)
        recorded = manifest_of(root, f"train-{row}")
        assert recorded["counts"]["labels"] == source
        read = {Path(name).stem for name in recorded["inputs"] if "image_labels" in name}
        assert read == ({source} - {"annotated"})
    (root / "cache/toyworld/image_labels/clip.h5").unlink()
    assert 'run "weakhoi label"' in refused(root, "train", *TOY, "--variant", "ours_clip_labels")
    line = refused(root, "train", *TOY, "--variant", "supervised+train.labels=captions")
    assert "train.supervision is boxes, whose boxes are annotated, but labels are of captions" in line


def test_a_stopped_run_goes_on_where_it_stopped(root, labeled, monkeypatch):
    whole, calls = ClipScoreWork.run, []

    def stopped(work, images, batch):
        if len(calls) == 3:  # two batches a part of eight images: one part is finished
            raise KeyboardInterrupt
        calls.append(images[0])
        return whole(work, images, batch)

    monkeypatch.setattr(ClipScoreWork, "run", stopped)
    (root / "cache/toyworld/image_labels/clip.h5").unlink()
    assert weakhoi(root, "label", *TOY).exit_code != 0
    monkeypatch.setattr(ClipScoreWork, "run", lambda *given: calls.append(given[1][0]) or whole(*given))
    succeeds(root, "label", *TOY)
    assert calls == [0, 4, 8, 8, 12, 16, 20]
    path = "cache/toyworld/image_labels/clip.h5"
    assert (root / path).read_bytes() == (labeled / path).read_bytes()
    assert not (root / "cache/toyworld/work/label").exists()


def test_quality_is_that_of_each_source(root):
    succeeds(root, "label-quality", *TOY)
    annotated = split_of(root, "train").label_rows(40)
    for source in ("captions", "clip"):
        figures = json.loads((root / f"results/toyworld/labels/{source}.json").read_text())
        assert figures == {"source": source} | agreement(rows_of(root, source), annotated)
        (root / f"cache/toyworld/image_labels/{source}.h5").unlink()
    line = refused(root, "label-quality", *TOY)
    assert 'run "weakhoi label-captions --dataset toyworld" or "weakhoi label --dataset toyworld"' in line


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": "captions", "captions": None}, "toyworld.prepare.captions is null; expected a file of captions"),
        ({"captions": None, "synonyms": "s.json"}, "prepare.synonyms is of captions, but prepare.captions is null"),
        (
            {"labels": "captions", "captions": "none.csv"},
            "none.csv: does not exist; toyworld.prepare.captions",
        ),
        ({"labels": "caption"}, "prepare.labels is 'caption', did you mean \"captions\"?; expected"),
        ({"labels": "captions", "synonyms": "none.json"}, "none.json: does not exist; toyworld.prepare.synonyms"),
    ],
)
def test_settings_that_do_not_fit_are_one_line_and_leave_everything(root, changes, message):
    before = (root / "manifests/toyworld/train.json").read_bytes()
    set_prepare(root, **changes)
    assert message in refused(root, "prepare", *TOY)
    assert (root / "manifests/toyworld/train.json").read_bytes() == before


def test_captions_that_are_absent_are_named_beside_annotated_labels_too(root):
    set_prepare(root, captions=None)
    succeeds(root, "prepare", *TOY)
    assert "toyworld.prepare.captions is null" in refused(root, "label-captions", *TOY)
    edit_params(root, lambda document: document["toyworld"]["prepare"].update(captions="drawn", reader="folder"))
    assert "is drawn, which is for the reader toyworld" in refused(root, "label-captions", *TOY)
