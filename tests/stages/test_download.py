"""`weakhoi download`, with a local file in the place of the network."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline.store.published import CLIP_FILES, DATASETS, PublishedDataset, PublishedFile
from stages.cli import main

DATA = b"weights" * 300_000


def download(*call: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(main, ["download", *map(str, call)])
    assert done.exception is None or isinstance(done.exception, SystemExit)
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture
def source(tmp_path) -> str:
    path = tmp_path / "source" / "RN50.pt"
    path.parent.mkdir()
    path.write_bytes(DATA)
    return path.as_uri()


def test_weights_are_fetched_once_and_checked(source, tmp_path, monkeypatch):
    monkeypatch.setitem(CLIP_FILES, "RN50", PublishedFile(source, hashlib.sha256(DATA).hexdigest()))
    path = tmp_path / "to" / "RN50.pt"
    for _ in range(2):
        code, out, _ = download("weights", "RN50", "--to", path.parent)
        assert (code, out) == (0, f"RN50: {path}; license: MIT (OpenAI)\n")
        assert path.read_bytes() == DATA
    path.write_bytes(DATA[1:])
    code, _, line = download("weights", "RN50", "--to", path.parent)
    assert code == 2 and "RN50.pt: not the published file (" in line and "delete it" in line
    code, _, line = download("weights", "RN5O")
    assert code == 2 and 'no weights "RN5O", did you mean "RN50"?' in line


def test_a_dataset_is_taken_to_the_end_step_by_step(source, tmp_path, monkeypatch):
    clone, archive, *_ = DATASETS["vcoco"].parts
    clone = replace(clone, gives={"data/a.json": 1})
    archive = replace(archive, url=source, sha256=hashlib.sha256(DATA).hexdigest(), gives={"images/train2014": 2})
    monkeypatch.setitem(DATASETS, "vcoco", PublishedDataset(Path("unused"), [clone, archive]))
    folder = tmp_path / "v-coco"
    zipped = tmp_path / "train2014.zip"

    code, out, line = download("vcoco", "--to", folder)
    assert code == 2 and zipped.read_bytes() == DATA
    assert f"Step 1: git clone --recursive https://github.com/s-gupta/v-coco {folder}\n" in out
    assert f"Step 2: python -m zipfile -e {zipped} {folder}/images\n" in out
    assert line == (f"Error: {folder}: lacks data/a.json, images/train2014; do the steps above, then run this again\n")

    for path in ("data/a.json", "images/train2014/1.jpg", "images/train2014/2.jpg"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).touch()
    zipped.unlink()
    assert download("vcoco", "--to", folder) == (
        0, f"v-coco: complete\ntrain2014.zip: complete\n{folder}: complete\n", ""
    )  # fmt: skip
