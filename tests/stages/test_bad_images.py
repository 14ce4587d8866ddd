"""The table of image files (tests/bad_images.py) through the commands."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.bad_images import READ, REFUSED, UNUSABLE
from tests.conftest import ROOT
from tests.roots import new_root, refused, succeeds, weakhoi
from tests.stages.own_dataset import SOURCE, on_toy_weights

pytestmark = pytest.mark.slow

EXAMPLE = ROOT / "examples/toyworld.png"


def test_every_kind_that_is_read_goes_through_every_stage(tmp_path):
    folder = tmp_path / SOURCE
    folder.mkdir(parents=True)
    shutil.copy(EXAMPLE, folder / "people.png")
    rows = ["image,verb,object", "people.png,ride,horse"]
    for name, (write, _) in READ.items():
        write(folder / name)
        rows.append(f'"{name}",ride,bicycle')
    (folder / "labels.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    new_root(tmp_path, on_toy_weights(lambda section: section["prepare"].update(val_fraction=0.0)))
    for call in (["prepare"], ["detect", "--split", "train"], ["encode-prompts"], ["train"]):
        succeeds(tmp_path, *call, "--dataset", "custom")
    found = succeeds(tmp_path, "predict", str(folder), "--dataset", "custom", "--json", "-")
    document = json.loads(found.stdout)
    read = {image["path"].removeprefix(f"{folder}/") for image in document["images"]}
    assert read == {"people.png", *READ}


def test_prediction_goes_on_past_every_kind_that_is_refused(own_dataset, tmp_path):
    shutil.copy(EXAMPLE, tmp_path / "zz.png")
    for name, (write, _) in REFUSED.items():
        write(tmp_path / name)
    for name, write in UNUSABLE.items():
        write(tmp_path / name)
    named = [str(tmp_path / name) for name in ("pipe.jpg", "broken link.jpg", "folder.jpg")]
    done = weakhoi(own_dataset, "predict", str(tmp_path), *named[:2], "--dataset", "custom", "--json", "-")
    assert done.exit_code == 3, done.output
    document = json.loads(done.stdout)
    assert [image["path"] for image in document["images"]] == [str(tmp_path / "zz.png")]
    reasons = {entry["path"].removeprefix(f"{tmp_path}/"): entry["reason"] for entry in document["skipped"]}
    assert reasons.keys() == {*REFUSED, *UNUSABLE} - {"folder.jpg"}
    assert all(REFUSED[name][1] in reason for name, reason in reasons.items() if name in REFUSED)
    lines = done.stderr.strip().splitlines()
    assert lines == [f"Skipped: {reasons[name]}" for name in sorted(reasons)] + [
        f"{len(reasons)} of {len(reasons) + 1} images were skipped"
    ]
    line = refused(own_dataset, "predict", named[2], "--dataset", "custom")
    assert "folder.jpg: no image file directly in this folder" in line
