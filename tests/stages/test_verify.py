"""`verify`, `report` and `summary` name a run that is not of the files or params of now, and what mends it."""

from __future__ import annotations

import json
import os
import re
import shlex
from pathlib import Path

import pytest
from click.testing import Result

from pipeline.config.layout import Layout
from pipeline.config.params import load_params
from pipeline.config.run import Run
from pipeline.config.sections import digest_of
from pipeline.store.files import sha256_of
from pipeline.store.manifests import write_stage_manifest
from pipeline.training.params import TrainParams
from tests.roots import copied, edit_params, refused, succeeds, weakhoi

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def reported(scored_world, tmp_path_factory) -> Layout:
    """Two variants evaluated, and a report that shows the table of a study."""
    layout = Layout(copied(scored_world.root, tmp_path_factory.mktemp("reported") / "root"), "toyworld")
    header = "variant,desc,seeds,full_mean,full_std,rare_mean,rare_std,non_rare_mean,non_rare_std"
    layout.ablations("csv").write_text(
        f"{header},paper_full,paper_rare,paper_non_rare\nexp1,a,5,60.5,1.25,50,,61,2,20.75,,21\n"
    )
    succeeds(layout.root, "report", "--dataset", "toyworld")
    return layout


@pytest.fixture
def layout(reported, tmp_path) -> Layout:
    return Layout(copied(reported.root, tmp_path / "root"), "toyworld")


def commands(output: str) -> list[list[str]]:
    return [shlex.split(text)[1:] for text in re.findall(r'run "(weakhoi [^"]*)"', output)]


def damage(path) -> None:
    path.write_bytes(path.read_bytes() + b"\n")


@pytest.mark.parametrize("name", ["ablations.csv", "ours.json", "report/table.md", "weights/baseline/detector.csv"])
def test_what_verify_advises_helps(layout, name):
    succeeds(layout.root, "verify")
    damage(layout.root / "results/toyworld" / name)
    done = weakhoi(layout.root, "verify")
    assert done.exit_code == 2
    assert done.output.splitlines()[-1].startswith("Error: ") and "from top to bottom" in done.output
    remedies = [line for line in done.output.splitlines()[:-1] if not line.startswith("  ")]
    assert len(commands(done.output)) == len(remedies) == len(set(remedies)) > 0
    for call in commands(done.output):
        succeeds(layout.root, *call)
    succeeds(layout.root, "verify")


def test_a_file_that_is_gone_and_that_no_run_made_is_to_be_put_back(layout):
    layout.ablations("csv").unlink()
    done = weakhoi(layout.root, "verify")
    assert done.output.splitlines()[:2] == [
        "put it back",
        "  results/toyworld/ablations.csv: input of report is missing",
    ]


def test_an_edited_param_names_the_runs_that_were_made_otherwise(layout):
    edit_params(
        layout.root, lambda document: document["variants"]["ours"]["evaluate"].update(weights={"detector": 1.5})
    )
    record = layout.stage_manifest("evaluate", Run("ours"))
    command = "weakhoi evaluate --dataset toyworld --variant ours --split test"
    values = 'evaluate.weights={"detector": 2.8}, params.yaml says {"detector": 1.5}'
    fault, remedy = f"{record}: made with {values}", f'run "{command}", or put the value back'
    line = f"{fault}; {remedy}"
    done = weakhoi(layout.root, "verify", str(record), str(layout.stage_manifest("evaluate", Run("baseline"))))
    assert done.exit_code == 2
    assert done.output.splitlines()[:-1] == [remedy, f"  {fault}"]
    for stage in ("report", "summary"):
        assert refused(layout.root, stage, "--dataset", "toyworld") == f"Error: {line}"
    for call in (*commands(line), ["report", "--dataset", "toyworld"], ["summary", "--dataset", "toyworld"]):
        succeeds(layout.root, *call)
    succeeds(layout.root, "verify")


def test_an_edited_row_concerns_the_report_that_shows_it(layout):
    edit_params(layout.root, lambda document: document["variants"]["ours"].update(desc="another text"))
    done = weakhoi(layout.root, "verify")
    assert "report.json: made with variants.ours=" in done.output and '"another text"' in done.output
    assert len(done.output.splitlines()) == 3
    succeeds(layout.root, "report", "--dataset", "toyworld")
    succeeds(layout.root, "verify")


def test_params_that_no_run_reads_may_change(layout):
    edit_params(layout.root, lambda document: document["execution"].update(decode_threads=9))
    edit_params(layout.root, lambda document: document["variants"].pop("exp13"))
    succeeds(layout.root, "verify")


def test_a_run_older_than_a_setting_had_its_default(layout):
    """`setting` has a default and `class_groups` a factory of one; neither is in the record."""
    record = layout.stage_manifest("evaluate", Run("ours"))
    document = json.loads(record.read_text())
    for key in ("setting", "class_groups"):
        del document["params"]["evaluate"][key]
    record.write_text(json.dumps(document | {"params_digest": digest_of(document["params"])}))
    succeeds(layout.root, "verify", str(record))
    edit_params(layout.root, lambda params: params["toyworld"]["evaluate"].update(setting="known_object"))
    done = weakhoi(layout.root, "verify", str(record))
    assert 'made with evaluate.setting="default", params.yaml says "known_object"\n' in done.output


def test_a_row_that_is_gone_is_named(layout):
    edit_params(layout.root, lambda document: document["variants"].pop("baseline"))
    done = weakhoi(layout.root, "verify", str(layout.stage_manifest("evaluate", Run("baseline"))))
    assert done.exit_code == 2
    assert 'evaluate-baseline.json: made with params that are not there now (params.yaml: no variant "baseline"' in (
        done.output
    )


def test_a_run_of_a_seed_or_with_overrides_is_compared_with_its_own_params(layout):
    ad_hoc = "ours+train.warmup_iterations=3"
    for name, variant, seed in (("seeds/train-ours-3", "ours", 3), ("tuning/train-x", ad_hoc, None)):
        section = load_params(layout.params, "toyworld", Run.parse(variant))[TrainParams]
        section = section if seed is None else type(section)(**{**vars(section), "seed": seed})
        write_stage_manifest(
            layout.stage_manifests / f"{name}.json", root=layout.root, stage="train", inputs=[], outputs=[], counts={},
            arguments={"dataset": "toyworld", "variant": variant} | ({"seed": str(seed)} if seed else {}),
            params={"train": section}, seed=section.seed,
        )  # fmt: skip
    succeeds(layout.root, "verify")
    edit_params(
        layout.root, lambda document: document["toyworld"]["train"].update(warmup_iterations=2, learning_rate=0.5)
    )
    output = weakhoi(layout.root, "verify").output
    values = "train.learning_rate=0.001, params.yaml says 0.5; train.warmup_iterations=40, params.yaml says 2"
    assert f"train-ours-3.json: made with {values}\n" in output
    assert "train-x.json: made with train.learning_rate=0.001, params.yaml says 0.5\n" in output


# Whatever is wrong, the rest is checked too.

NAMES = ("a", "b", "c", "d\x1b[2J")


@pytest.fixture
def made(tmp_path) -> Path:
    """Four stages, each with an output and a manifest."""
    for name in NAMES:
        (tmp_path / name).write_text(name)
        write_stage_manifest(
            tmp_path / f"manifests/toyworld/runs/{name}.json", root=tmp_path, stage=f"make-{name[0]}",
            arguments={"dataset": "toyworld"}, inputs=[], params={}, outputs=[tmp_path / name], counts={}, seed=0,
        )  # fmt: skip
    return tmp_path


def verify(made: Path) -> Result:
    return weakhoi(made, "verify")


def test_all_is_as_recorded(made):
    assert verify(made).output.startswith("4 manifests: every input and output is as recorded")


def test_what_cannot_be_read_is_listed_and_the_rest_goes_on(made, monkeypatch):
    """Root may read everything, so the system's answer is given here."""

    def closed(path):
        if path == made / "a":
            raise PermissionError(13, "Permission denied", str(path))
        return sha256_of(path)

    monkeypatch.setattr("pipeline.store.manifests.sha256_of", closed)
    (made / "b").unlink()
    (made / "manifests/toyworld/runs/c.json").write_text("{")
    (made / NAMES[3]).write_text("changed")
    done = verify(made)
    assert done.exit_code == 2
    lines = done.stdout.splitlines()
    assert len(lines) == 8
    again = 'run "weakhoi make-{} --dataset toyworld"'
    found = dict(zip(lines[::2], lines[1::2], strict=True))
    damaged = "run the stage that writes it, e.g. `dvc repro`"
    assert found[damaged].startswith(f"  {made}/manifests/toyworld/runs/c.json: not JSON")
    assert found[again.format("a")] == f"  a: output of make-a cannot be read ({made}/a: Permission denied)"
    assert found[again.format("b")] == "  b: output of make-b is missing"
    assert found[again.format("d")].startswith("  d\\x1b[2J: output of make-d has sha256 ")
    assert done.stderr.startswith("Error: 4 differences in 4 manifests;")


def test_a_closed_folder_of_manifests_is_not_an_empty_one(made, monkeypatch):
    scandir = os.scandir

    def closed(path):
        if str(path).endswith("/runs/seeds"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    (made / "manifests/toyworld/runs/seeds").mkdir()
    monkeypatch.setattr("os.scandir", closed)
    done = verify(made)
    assert (done.exit_code, done.stdout) == (2, "")
    expected = f"{made}/manifests/toyworld/runs/seeds: cannot be opened (Permission denied); check the path"
    assert done.stderr.startswith(f"Error: {expected}")
