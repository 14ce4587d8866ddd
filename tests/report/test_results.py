from __future__ import annotations

import numpy as np
import pytest

from pipeline.config.layout import Layout
from pipeline.config.run import Run
from pipeline.core.errors import ArtifactError
from pipeline.report.results import (
    read_mean_curves,
    read_metrics,
    read_per_class,
    read_study,
    read_training_log,
    read_tuning,
    read_weight_sweep,
)
from tests.report.worlds import write_metrics, write_study_run


@pytest.fixture
def layout(tmp_path) -> Layout:
    return Layout(tmp_path, "toyworld")


def test_study_is_read_by_row_and_seed(layout):
    write_study_run(layout, Run("ours", seed=0), {"ours": 30.0, "exp7": 29.0})
    write_study_run(layout, Run("ours", seed=12), {"ours": 42.0, "exp7": 40.0})
    write_study_run(layout, Run("ours_random_bank", seed=0), {"ours_random_bank": 25.0})
    study = read_study(layout.studies)
    full = {row: {seed: run.means["full"] for seed, run in runs.items()} for row, runs in study.items()}
    assert full == {"ours": {0: 30, 12: 42}, "exp7": {0: 29, 12: 40}, "ours_random_bank": {0: 25}}
    assert study["exp7"][0].variant == "exp7"


def test_study_file_with_a_strange_name_or_content_is_refused(layout):
    write_study_run(layout, Run("ours", seed=1), {"ours": 30.0})
    layout.study(Run("ours", seed=1)).rename(layout.study(Run("ours", seed=2)))
    with pytest.raises(ArtifactError, match=r"expected the name ours-1\.json"):
        read_study(layout.studies)
    layout.study(Run("ours", seed=2)).write_text('{"run": "ours", "seed": 2}')
    with pytest.raises(ArtifactError, match="not the metrics of a seeded run"):
        read_study(layout.studies)


def test_no_study_is_empty(layout):
    assert read_study(layout.studies) == {} == read_tuning(layout.tuning)


def test_search_is_sorted_by_full(layout):
    for epochs, full in ((1, 10.0), (2, 30.0), (3, 20.0)):
        write_metrics(layout, Run("ours", (f"train.epochs={epochs}",), split="val"), full, None)
    assert list(read_tuning(layout.tuning)) == [f"ours+train.epochs={epochs}-val" for epochs in (2, 3, 1)]


def test_tables_are_read_with_gaps_as_nan(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(
        "hoi_id,verb,object,ap,ground_truth,detections,right,wrong_verb,train_instances,rare,mine\n"
        "0,ride,bicycle,50.5,3,8,2,1,9,1,0\n1,hold,cup,,0,0,0,0,70,0,1\n"
    )
    table = read_per_class(path, "")
    assert table.names == ("ride bicycle", "hold cup")
    assert {name: list(mask) for name, mask in table.groups.items()} == {"rare": [1, 0], "mine": [0, 1]}
    assert {name: list(count) for name, count in table.errors.items()} == {"right": [2, 0], "wrong_verb": [1, 0]}
    assert table.train_instances.tolist() == [9, 70] and table.ground_truth.tolist() == [3, 0]
    np.testing.assert_array_equal(table.ap, [50.5, np.nan])
    path.write_text("recall,full,rare,non_rare\n0.0,0.9,,0.8\n1.0,0.1,,0.2\n")
    curves = read_mean_curves(path, "")
    path.write_text("weight,full,rare,non_rare,chosen\n0,50,,49,0\n2.8,51,,52,1\n")
    sweep = read_weight_sweep(path, "")
    assert sweep["weight"][sweep["chosen"] > 0].tolist() == [2.8] and np.isnan(sweep["rare"]).all()
    assert list(curves) == ["full", "non_rare"] and curves["full"][1].tolist() == [0.9, 0.1]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "loss missing"),
        ("iteration,epoch\n", "loss missing"),
        ("epoch,loss\n1,2\n", "iteration missing"),
        ("iteration,epoch,loss,global,pair\n0,1,2,3,x\n", "could not convert"),
    ],
)
def test_damaged_tables_name_file_fault_and_remedy(tmp_path, text, fault):
    path = tmp_path / "ours.csv"
    path.write_text(text)
    with pytest.raises(ArtifactError, match=rf"ours\.csv: .*{fault}.*; train again"):
        read_training_log(path, "train again")


@pytest.mark.parametrize("reader", [read_metrics, read_per_class, read_training_log])
def test_missing_files_name_the_remedy(tmp_path, reader):
    with pytest.raises(ArtifactError, match="does not exist; do this"):
        reader(tmp_path / "none", "do this")


def test_a_run_of_no_epoch_has_an_empty_log(tmp_path):
    """As that of Abl 1, which is not trained."""
    path = tmp_path / "abl1.csv"
    path.write_text("iteration,epoch,loss,pair\n")
    assert {name: len(column) for name, column in read_training_log(path, "").items()} == {
        "epoch": 0,
        "loss": 0,
        "pair": 0,
    }
