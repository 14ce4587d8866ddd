from __future__ import annotations

import json
import shutil

import pytest
from PIL import Image

from pipeline.config.layout import Layout
from pipeline.config.run import Run
from pipeline.report.committed import code_commit
from pipeline.store.files import sha256_of
from pipeline.store.manifests import differences, read_stage_manifest
from tests.report.worlds import write_study_run
from tests.roots import copied, edit_params, refused, succeeds

pytestmark = pytest.mark.slow


REPORT = ("report", "--dataset", "toyworld")


@pytest.fixture(scope="module")
def reported(scored_world, tmp_path_factory) -> Layout:
    layout = Layout(copied(scored_world.root, tmp_path_factory.mktemp("reported") / "root"), "toyworld")
    assert "baseline, ours on 3 of 3 images" in succeeds(layout.root, *REPORT).output
    return layout


def test_folder_holds_all_and_a_second_run_gives_equal_bytes(reported, layout):
    assert {path.name for path in reported.report.iterdir()} == {
        "index.html",
        "table.md",
        "precision_recall.svg",
        "training_frequency.svg",
        "weights.svg",
        "training.svg",
        "sheet-baseline.png",
        "sheet-ours.png",
    }
    for path in reported.report.glob("*.png"):
        Image.open(path).verify()
    assert (reported.report / "index.html").read_text().count("<svg role=") == 4
    succeeds(layout.root, *REPORT)
    assert sha256_of(layout.report) == sha256_of(reported.report)
    assert sha256_of(layout.stage_manifest("report")) == sha256_of(reported.stage_manifest("report"))


def test_manifest_covers_what_was_read_and_names_from_params_are_escaped(layout):
    edit_params(layout.root, lambda document: document["variants"]["ours"].update(desc="<script>x</script>"))
    succeeds(layout.root, *REPORT, "--variant", "ours", "--variant", "baseline")
    manifest = read_stage_manifest(layout.stage_manifest("report"))
    assert manifest.arguments == {"dataset": "toyworld", "variant": "ours,baseline", "commit": code_commit()}
    assert manifest.counts == {"variants": 2, "images": 3}
    assert "cache/toyworld/detections/ours.zarr" in manifest.inputs
    assert sum(name.endswith(".png") for name in manifest.inputs) == 3  # the images that are shown
    assert list(manifest.params) == ["report", "variants"]
    assert differences(manifest, layout.root) == []
    page = (layout.report / "index.html").read_text()
    assert "<script>x" not in page and "&lt;script&gt;x" in page


def test_ablations_and_further_figures_are_shown_where_they_exist(reported, layout):
    page = (reported.report / "index.html").read_text()
    assert 'id="ablations"' not in page and "over seeds" not in page
    header = "variant,desc,seeds,full_mean,full_std,rare_mean,rare_std,non_rare_mean,non_rare_std"
    layout.ablations("csv").write_text(
        f"{header},paper_full,paper_rare,paper_non_rare\n<i>exp1</i>,a < b,5,60.5,1.25,50,,61,2,20.75,,21\n"
    )
    layout.figures.mkdir()
    layout.figures.joinpath("tsne_of_pairs.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"/>')
    layout.figures.joinpath("notes.txt").write_text("not a figure")
    succeeds(layout.root, *REPORT)
    page = (layout.report / "index.html").read_text()
    assert "<summary>Controls and further rows: &lt;i&gt;exp1&lt;/i&gt;</summary>" in page
    assert 'id="claims"' not in page
    assert "&lt;i&gt;exp1&lt;/i&gt;" in page and "60.50 ± 1.25" in page and "<td>20.75</td><td>\N{EN DASH}</td>" in page
    assert "<h3>Tsne of pairs</h3>" in page and "data:image/svg+xml;base64," in page
    manifest = read_stage_manifest(layout.stage_manifest("report"))
    assert "results/toyworld/ablations.csv" in manifest.inputs
    assert "results/toyworld/figures/tsne_of_pairs.svg" in manifest.inputs
    layout.ablations("csv").write_text("variant,desc\nexp1,x\n")
    assert "ablations.csv: seeds, full_mean" in refused(layout.root, *REPORT)


def test_claims_are_shown_where_there_is_a_study(layout):
    for variant, values in (("ours", (30.0, 34.0)), ("baseline", (29.0, 31.0))):
        for seed, full in enumerate(values, start=1):
            write_study_run(layout, Run(variant, seed=seed), {variant: full})
    succeeds(layout.root, *REPORT)
    page = (layout.report / "index.html").read_text()
    assert "the whole method helps<small>ours - baseline" in page
    assert "Full over seeds" in page and "<td>32.00 ± 2.83<small>2 seeds</small></td>" in page
    assert "results/toyworld/study/ours-2.json" in read_stage_manifest(layout.stage_manifest("report")).inputs


def test_one_variant_alone_has_no_differences(layout):
    succeeds(layout.root, *REPORT, "--variant", "ours", "--commit", "1234 of today")
    page = (layout.report / "index.html").read_text()
    assert "ours - baseline" not in page and "<dt>commit</dt><dd>1234 of today</dd>" in page


def test_the_first_screen_says_where_the_numbers_come_from(reported):
    page = (reported.report / "index.html").read_text()
    truth = sha256_of(reported.ground_truth("test"))
    assert f"<dt>data</dt><dd>toyworld test, annotations {truth[:10]}</dd>" in page
    assert "<dt>gamma</dt><dd>2.8</dd>" in page
    assert "<dt>score</dt><dd>pairwise · detector^2.8 · global · relatedness</dd>" in page


def test_metrics_of_other_params_are_refused(layout):
    edit_params(layout.root, lambda document: document["toyworld"]["evaluate"].update(setting="known_object"))
    line = refused(layout.root, *REPORT)
    assert 'made with evaluate.setting="default", params.yaml says "known_object"' in line
    assert "weakhoi evaluate --dataset toyworld --variant baseline" in line
    assert not layout.report.exists()


def test_metrics_of_other_detections_are_refused(layout):
    path = layout.metrics(Run("ours"))
    data = json.loads(path.read_text())
    data["counts"]["detections"] += 1
    path.write_text(json.dumps(data))
    layout.stage_manifest("evaluate", Run("ours")).unlink(missing_ok=True)  # else their digest tells already
    assert f"ours.json: of {data['counts']['detections']} detections, but " in refused(layout.root, *REPORT)


def test_detections_of_another_run_are_refused(layout):
    shutil.rmtree(layout.detections(Run("ours")))
    shutil.copytree(layout.detections(Run("baseline")), layout.detections(Run("ours")))
    layout.stage_manifest("evaluate", Run("ours")).unlink()  # else their digest tells already
    line = refused(layout.root, *REPORT)
    assert "ours.zarr: " in line and 'run "weakhoi evaluate --dataset toyworld --variant ours"' in line


@pytest.mark.parametrize(
    ("which", "remedy"),
    [
        ("metrics", "weakhoi evaluate"),
        ("per_class", "weakhoi evaluate"),
        ("weight_sweeps", "weakhoi evaluate"),
        ("training_log", "weakhoi train"),
        ("detections", "weakhoi evaluate"),
    ],
)
def test_missing_files_name_the_command_that_makes_them(layout, which, remedy):
    getattr(layout, which)(Run("ours")).rename(layout.root / "elsewhere")
    assert f'does not exist; run "{remedy} --dataset toyworld --variant ours"' in refused(layout.root, *REPORT)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["baseline", "our"], 'no variant "our", did you mean "ours"?'),
        (["ours", "ours"], '"ours" is listed twice'),
        ([], "expected a list of names"),
        ("ours", "expected a list of names"),
    ],
)
def test_run_variants_are_checked(layout, names, message):
    edit_params(layout.root, lambda document: document.update(run_variants=names))
    assert message in refused(layout.root, *REPORT)
