"""The addresses of published files: those of the libraries that name them; and what a dataset's folder lacks."""

from __future__ import annotations

import re

import pytest
import yaml
from clip.clip import _MODELS
from torchvision.models import get_model_weights

from pipeline.store.published import CLIP_FILES, DATASETS, LICENSES, TORCHVISION_FILES
from stages.download import PAPER_WEIGHTS
from tests.conftest import ROOT


def test_the_addresses_are_those_of_the_libraries():
    assert {name: file.url for name, file in CLIP_FILES.items()} == _MODELS
    for name, file in TORCHVISION_FILES.items():
        detector, _, weights = name.partition("/")
        assert get_model_weights(detector)[weights].url == file.url
    for name, file in (CLIP_FILES | TORCHVISION_FILES).items():
        assert file.sha256 in file.url and re.fullmatch("[0-9a-f]{8}|[0-9a-f]{64}", file.sha256), name
    assert {*LICENSES} == {"clip", "torchvision"}


def test_what_is_fetched_is_checked_and_the_rest_says_what_to_do():
    for dataset in DATASETS.values():
        for part in dataset.parts:
            assert bool(part.by_hand) != bool(re.fullmatch("[0-9a-f]{64}", part.sha256))
            assert part.gives and part.license


def test_they_are_what_params_yaml_names():
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    detect = params["hicodet"]["detect"]
    assert (params["hicodet"]["clip"]["weights"], f"{detect['detector']}/{detect['weights']}") == PAPER_WEIGHTS
    for name, dataset in DATASETS.items():
        assert dataset.folder.as_posix() == params[name]["prepare"]["source"]


@pytest.mark.parametrize(
    ("content", "step"),
    [
        (None, "open https://drive.google.com/"),
        (b"<!DOCTYPE html><html>", "is a web page, such as a login or an error: delete it; then in a browser, open"),
        (b"\x1f\x8b rest", "tar -xzf {archive} -C {parent}"),
    ],
)
def test_an_archive_is_got_by_hand_then_unpacked(tmp_path, content, step):
    (part,) = DATASETS["hicodet"].parts
    folder = tmp_path / "hico_20160224_det"
    archive = tmp_path / "hico_20160224_det.tar.gz"
    if content is not None:
        archive.write_bytes(content)
    assert step.format(archive=archive, parent=tmp_path) in part.next_step(folder)


def test_what_a_folder_lacks_is_counted(tmp_path):
    (part,) = DATASETS["hicodet"].parts
    (tmp_path / "images/train2015").mkdir(parents=True)
    (tmp_path / "images/train2015/a.jpg").touch()
    (tmp_path / "anno_bbox.mat").touch()
    assert part.missing(tmp_path) == ["anno.mat", "images/train2015 (1 of 38,118 files)", "images/test2015"]
