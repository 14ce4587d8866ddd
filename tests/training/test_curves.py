"""Curves for TensorBoard, with a writer that keeps what it is given: the package is an extra."""

import sys
from types import SimpleNamespace

import pytest

from pipeline.core.errors import ParamError
from pipeline.training.curves import tensorboard_curves


def test_every_figure_is_a_curve_over_iterations(tmp_path, monkeypatch):
    said = []

    class Writer:
        def __init__(self, folder, purge_step):
            said.append((folder, purge_step))

        def add_scalar(self, *point):
            said.append(point)

        def close(self):
            said.append("closed")

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", SimpleNamespace(SummaryWriter=Writer))
    with tensorboard_curves(tmp_path) as draw:
        draw({"loss": 3.0, "waiting": 0.5, "iteration": 7})  # of a run that was stopped after the sixth
        draw({"loss": 2.0, "iteration": 8})
    points = [("loss", 3.0, 7), ("waiting", 0.5, 7), ("loss", 2.0, 8)]
    assert said == [(str(tmp_path), 7), *points, "closed"]


def test_without_the_package_the_setting_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with (
        pytest.raises(ParamError, match=r"execution.tensorboard: true needs the package tensorboard; .*pip install"),
        tensorboard_curves(tmp_path),
    ):
        pass


def test_nothing_is_opened_where_none_are_asked_for(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with tensorboard_curves(None) as draw:
        draw({"loss": 1.0})
