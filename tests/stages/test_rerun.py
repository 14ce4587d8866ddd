"""`rerun`: rows that nobody named give the same bytes again, and the folder that it is given is its own."""

from __future__ import annotations

import dataclasses
import shutil

import pytest

from pipeline.config.layout import Layout
from pipeline.config.run import Run
from pipeline.store.dump import read_dump, write_dump
from tests.roots import copied, refused, repeats, succeeds, weakhoi

pytestmark = pytest.mark.slow
AD_HOC = "ours+model.bilevel.top_k=3+evaluate.weights.detector=2.0"


@pytest.fixture
def layout(layout) -> Layout:
    """A world with the files of one more row, as train and infer leave them."""
    run = Run.parse(AD_HOC)
    layout.training_log(run).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(layout.training_log(Run("ours")), layout.training_log(run))
    dump = read_dump(layout.predictions(Run("ours")))
    write_dump(layout.predictions(run), **vars(dataclasses.replace(dump, variant=run.name)))
    return layout


def test_a_row_that_nobody_named_is_reported_and_its_runs_give_the_same_again(layout):
    report = ("report", "--dataset", "toyworld", "--variant", f"baseline,{AD_HOC}")
    assert f'run "weakhoi evaluate --dataset toyworld --variant {AD_HOC}"' in refused(layout.root, *report)
    succeeds(layout.root, "evaluate", "--dataset", "toyworld", "--variant", AD_HOC)
    succeeds(layout.root, *report)
    assert f"| {AD_HOC} " in (layout.report / "table.md").read_text()
    assert (layout.report / f"sheet-{AD_HOC}.png").is_file()
    records = (f"tuning/evaluate-{AD_HOC}.json", "report.json", "evaluate-baseline.json")
    repeats(layout.root, *(layout.stage_manifests / name for name in records))


def test_commas_inside_brackets_belong_to_a_value(layout):
    names = "baseline,ours+train.decay_at=[0.5,0.7]"
    line = refused(layout.root, "report", "--dataset", "toyworld", "--variant", names)
    assert "ours+train.decay_at=[0.5,0.7] does not exist" in line


def test_infer_of_a_row_that_nobody_named_gives_the_same_again(own_dataset, tmp_path):
    layout = Layout(copied(own_dataset, tmp_path / "root"), "custom")
    shutil.copytree(layout.checkpoint(Run("ours")), layout.checkpoint(Run.parse("ours+model.bilevel.top_k=3")))
    succeeds(layout.root, "infer", "--dataset", "custom", "--variant", "ours+model.bilevel.top_k=3")
    repeats(layout.root, layout.stage_manifests / "tuning/infer-ours+model.bilevel.top_k=3-test.json")


def test_the_scratch_folder_is_new_or_empty(layout, tmp_path):
    record = str(layout.stage_manifest("evaluate", Run("ours")))
    before = {path: path.read_bytes() for path in layout.root.rglob("*") if path.is_file()}
    for folder in (layout.root, layout.root / "results"):
        line = refused(layout.root, "rerun", record, "--scratch", str(folder))
        assert line.startswith(f"Error: {folder}: not empty")
    scratch = tmp_path / "kept"
    succeeds(layout.root, "rerun", record, "--scratch", str(scratch))
    assert Layout(scratch, "toyworld").metrics(Run("ours")).read_bytes() == layout.metrics(Run("ours")).read_bytes()
    assert {path: path.read_bytes() for path in layout.root.rglob("*") if path.is_file()} == before


def test_an_output_that_the_stage_does_not_make_is_named(layout):
    path = layout.stage_manifest("evaluate", Run("ours"))
    path.write_text(path.read_text().replace("results/toyworld/per_class/ours.csv", "results/toyworld/other/ours.csv"))
    done = weakhoi(layout.root, "rerun", str(path))
    assert done.exit_code == 2
    assert "DIFFERS  results/toyworld/other/ours.csv not made" in done.output
