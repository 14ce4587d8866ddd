from __future__ import annotations

import shutil

import pytest

from pipeline.config.layout import Layout
from pipeline.config.run import Run
from tests.conftest import ROOT
from tests.report.worlds import write_metrics, write_study_run
from tests.roots import refused, succeeds, weakhoi


@pytest.fixture
def layout(tmp_path) -> Layout:
    shutil.copy(ROOT / "params.yaml", tmp_path)
    layout = Layout(tmp_path, "toyworld")
    write_metrics(layout, Run("baseline"), 30.0, 12.5)
    write_metrics(layout, Run("ours"), 31.0, None)
    return layout


SUMMARY = ("summary", "--dataset", "toyworld")


def write_study(layout) -> None:
    for variant, values in (("ours", (30.0, 34.0)), ("baseline", (29.0, 31.0))):
        for seed, full in enumerate(values, start=1):
            write_study_run(layout, Run(variant, seed=seed), {variant: full})


def test_prints_the_run_variants_and_where_pictures_are(layout):
    output = succeeds(layout.root, *SUMMARY).output
    assert "**31.00**" in output and "| 30.00" in output.replace("  ", "")
    assert "Ablations" not in output and "search" not in output
    assert "Pictures: none; weakhoi report --dataset toyworld" in output
    layout.report.mkdir(parents=True)
    (layout.report / "index.html").touch()
    assert f"Pictures: {layout.report / 'index.html'}" in succeeds(layout.root, *SUMMARY).output


def test_prints_study_and_search_where_there_are_any(layout):
    write_study(layout)
    write_metrics(layout, Run("ours", ("evaluate.weights.detector=3",), split="val"), 27.125, 5.0)
    output = succeeds(layout.root, *SUMMARY).output
    assert "32.00 ± 2.83" in output and "2.00 ± 1.00" in output
    assert "ours+evaluate.weights.detector=3-val | val" in output and "27.12" in output
    assert not layout.ablations("md").exists()


def test_writes_the_table_over_seeds(layout):
    write_study(layout)
    succeeds(layout.root, *SUMMARY, "--write")
    page = layout.ablations("md").read_text(encoding="utf-8")
    assert "| ours " in page and "32.00 ± 2.83" in page and "ours - baseline" in page
    assert layout.ablations("csv").read_text().count("\n") == 3


def test_write_without_a_study_says_how_to_make_one(layout):
    done = weakhoi(layout.root, *SUMMARY, "--write")
    assert done.exit_code == 2 and "--variant ours --seed 1" in done.output


def test_missing_metrics_name_the_command(layout):
    layout.metrics(Run("ours")).unlink()
    assert 'run "weakhoi evaluate --dataset toyworld --variant ours"' in refused(layout.root, *SUMMARY)
