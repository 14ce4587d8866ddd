from __future__ import annotations

import re

import pytest

from pipeline.report.results import RunMetrics
from pipeline.report.study import seeds_html
from pipeline.report.table import counts_line, errors_markdown, markdown_table, variants_html, variants_markdown
from tests.report.test_study import run_metrics

COUNTS = {"images": 600, "ground_truth_pairs": 1216, "detections": 46916, "hoi_classes": 40}
COUNTS |= {"classes_without_ground_truth": 2}


def run(variant: str, full: float, rare: float | None) -> RunMetrics:
    means, groups = {"full": full, "rare": rare, "non_rare": full + 1}, {"full": 40, "rare": 13, "non_rare": 27}
    return run_metrics(variant, means, setting="known_object", groups=groups, counts=COUNTS)


@pytest.fixture
def runs() -> list[RunMetrics]:
    return [run("baseline", 30.004, None), run("ours", 31.5, 20.0)]


def test_markdown_has_a_row_per_variant_and_marks_the_best(runs):
    lines = variants_markdown(runs, {"ours": "all | of it"}).splitlines()
    cells = [[cell.strip() for cell in line.replace("\\|", "/").strip("|").split("|")] for line in lines[:4]]
    assert cells[0] == ["variant", "desc", "Full", "Rare", "Non-rare", "Max recall", "detections"]
    assert cells[2] == ["baseline", "", "30.00", "\N{EN DASH}", "31.00", "90.00", "46,916"]
    assert cells[3] == ["ours", "all / of it", "**31.50**", "20.00", "**32.50**", "90.00", "46,916"]
    assert len({len(line) for line in lines[:4]}) == 1


def test_html_escapes_names(runs):
    runs[0] = run("<i>base</i>", 30.0, None)
    html = variants_html(runs, {"ours": 'a < b & "c"'})
    assert "&lt;i&gt;base&lt;/i&gt;" in html and "<i>" not in html
    assert "a &lt; b &amp; &quot;c&quot;" in html
    assert html.count("<tr>") == 3 and "<b>31.50</b>" in html and "<b>30.00</b>" not in html


def test_html_has_the_mean_over_seeds_beside_this_runs_value(runs):
    """Of variants with several seeds; the column is there only where there is a study."""
    study = {"ours": {seed: run("ours", full, 1.0) for seed, full in ((0, 30.0), (1, 34.0))}}
    html = variants_html(runs, {}, {one.variant: seeds_html(study, one.variant) for one in runs})
    assert re.findall(r'<th scope="col">(.*?)</th>', html)[:4] == ["variant", "Full", "Full over seeds", "Rare"]
    assert "<td>30.00</td><td>\N{EN DASH}</td>" in html  # of baseline
    assert "<td><b>31.50</b></td><td>32.00 ± 2.83<small>2 seeds</small></td><td>20.00</td>" in html
    assert seeds_html({"ours": {0: study["ours"][0]}}, "ours") == "\N{EN DASH}"  # one seed has no spread
    assert "seeds" not in variants_html(runs, {})


def test_counts_are_named(runs):
    assert counts_line(runs) == (
        "mAP and mean maximum recall in percent, known object setting, test split: 600 images, 1,216 annotated pairs, "
        "40 HOI classes (13 rare, 27 non-rare), of which 2 have no annotated pair in this split."
    )


def test_cells_cannot_break_the_table():
    assert markdown_table(["a", "b"], [["x\ny|z", "1"]]).splitlines()[2] == "| x y\\|z |   1 |"


def test_errors_are_counted_with_what_they_cost(runs):
    assert errors_markdown(runs) == "" and variants_markdown(runs, {}).count("| variant") == 1
    counts, gains = {"right": 1010, "wrong_verb": 7}, {"wrong_verb": 2.965}
    runs[1] = run_metrics("ours", {"full": 31.5}, counts=COUNTS, at_break_even=counts, gain_if_fixed=gains)
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in errors_markdown(runs).split("\n")[1:-1]]
    dash = "\N{EN DASH}"
    assert lines[0] == ["at break-even", "baseline", "ours", "baseline: mAP if fixed", "ours: mAP if fixed"]
    assert lines[2:] == [["right", dash, "1,010", dash, dash], ["wrong verb", dash, "7", dash, "2.96"]]
    assert variants_markdown(runs, {}).endswith(errors_markdown(runs))


def test_the_vcoco_protocol_has_columns_of_its_own():
    roles = {"ap_role_s1": 42.97, "ap_role_s2": 48.06, "ap_agent": 30.0}
    lines = variants_markdown([run_metrics("ours", {"full": 1.0}, roles=roles, counts=COUNTS)], {}).splitlines()
    assert "AP role S1 | AP role S2 | AP agent" in lines[0]
    assert "42.97" in lines[2]
    assert "AP role" not in variants_markdown([run("ours", 1.0, None)], {})
