"""`train` as a user meets it: a finished run is not trained anew, and its progress can be watched."""

from __future__ import annotations

import re

import pytest

from pipeline.config.layout import Layout
from pipeline.config.run import Run
from stages import _command
from tests.roots import copied, succeeds
from tests.stages.own_dataset import edit_custom

pytestmark = pytest.mark.slow

TRAIN = ("train", "--dataset", "custom")
CHECKPOINT = "model.safetensors"


@pytest.fixture
def layout(own_dataset, tmp_path) -> Layout:
    return Layout(copied(own_dataset, tmp_path / "root"), "custom")


def weights(layout: Layout) -> bytes:
    return (layout.checkpoint(Run("ours")) / CHECKPOINT).read_bytes()


def test_a_finished_run_is_trained_anew_only_where_asked_for(layout, monkeypatch):
    before = weights(layout)
    monkeypatch.setattr(_command, "_EVERY", 0.0)
    done = succeeds(layout.root, *TRAIN)
    assert done.stdout == (
        f"{layout.checkpoint(Run('ours'))}: trained already, with these params, inputs and code; --again trains anew\n"
    )
    assert done.stderr == ""
    done = succeeds(layout.root, *TRAIN, "--again")
    assert done.stdout == "" and weights(layout) == before
    lines = re.findall(r"train ours: (\d+)/(\d+) img.*; epoch 1/1, loss [\d.]+, iteration (\d+)/(\d+), ", done.stderr)
    assert lines and {line[1] for line in lines} == {lines[-1][0]} and lines[-1][2] == lines[-1][3]
    for figure in ("learning rate ", "waiting ", "memory ", " img/s, "):
        assert figure in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("change", ["a param", "a damaged checkpoint", "no record"])
def test_a_run_that_is_not_as_it_was_finished_is_trained(layout, change):
    path, before = layout.checkpoint(Run("ours")) / CHECKPOINT, weights(layout)
    if change == "a param":
        edit_custom(layout.root, lambda section: section["train"].update(learning_rate=0.002))
    elif change == "a damaged checkpoint":
        path.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    else:
        layout.finished("train", Run("ours")).unlink()
    assert succeeds(layout.root, *TRAIN).stdout == ""
    assert (weights(layout) == before) == (change != "a param")
