from pathlib import Path

import pytest

from pipeline.core.layout import Layout, checkpoint_owner, run_name

ROOT = Path("root")
RUNS = ["ours", "ours+train.learning_rate=0.001", run_name("ours", 3)]


def every_path(layout: Layout, run: str) -> dict[str, Path]:
    return {
        "params": layout.params,
        "drawn_images": layout.drawn_images,
        "vocabulary": layout.vocabulary,
        "split": layout.split("train"),
        "ground_truth": layout.ground_truth("test"),
        "stage_manifest": layout.stage_manifest("train", run),
        "proposals": layout.proposals("train"),
        "knowledge_bank": layout.knowledge_bank,
        "checkpoint": layout.checkpoint(run),
        "predictions": layout.predictions(run),
        "predictions on val": layout.predictions(run, "val"),
        "representations": layout.representations(run),
        "tsne": layout.tsne("pairs"),
        "fusion_weight": layout.fusion_weight,
        "separation": layout.separation,
        "training_log": layout.training_log(run),
        "metrics": layout.metrics(run),
        "per_class": layout.per_class(run),
        "precision_recall": layout.precision_recall(run),
        "weight_sweeps": layout.weight_sweeps(run),
        "examples": layout.examples,
        "figures": layout.figures,
        "people": layout.people("test"),
        "imported_proposals": layout.imported_proposals("test"),
        "bank": layout.bank("RN101"),
        "study": layout.study("ours", 3),
        "ablations": layout.ablations("md"),
        "report": layout.report,
        "work": layout.work("train", run),
        "lock": layout.lock("train", run),
    }


@pytest.mark.parametrize("run", RUNS)
def test_every_path_lies_under_the_root_and_is_its_own(run):
    paths = every_path(Layout(ROOT, "toyworld"), run)
    assert all(path.is_relative_to(ROOT) and ".." not in path.parts for path in paths.values())
    assert len(set(paths.values())) == len(paths)
    others = every_path(Layout(ROOT, "vcoco"), run)
    assert [name for name, path in paths.items() if path == others[name]] == ["params"]


def test_every_path_of_the_class_is_tested():
    public = {name for name in vars(Layout) if not name.startswith("_")} - {"root", "dataset", "scored_run"}
    assert public <= set(every_path(Layout(ROOT, "toyworld"), "ours"))


def test_runs_of_a_study_lie_in_folders_of_their_own():
    layout, run = Layout(ROOT, "toyworld"), run_name("ours", 3)
    assert run == "seeds/ours-3"
    assert layout.checkpoint(run) == ROOT / "cache/toyworld/seeds/checkpoints/ours-3"
    assert layout.predictions(run) == ROOT / "cache/toyworld/seeds/predictions/ours-3.zarr"
    assert layout.predictions(run, "val") == ROOT / "cache/toyworld/seeds/predictions/ours-3-val.zarr"
    assert layout.representations(run) == ROOT / "cache/toyworld/seeds/representations/ours-3.h5"
    assert layout.metrics(run) == ROOT / "results/toyworld/seeds/ours-3.json"
    assert layout.per_class(run) == ROOT / "results/toyworld/seeds/per_class/ours-3.csv"
    assert layout.stage_manifest("infer", run, "test") == ROOT / "manifests/toyworld/runs/seeds/infer-ours-3-test.json"
    assert layout.work("infer", run, "test").parent == layout.work("detect", "train").parent


def test_the_pipelines_own_runs():
    layout = Layout(ROOT, "toyworld")
    assert run_name("ours") == "ours"
    assert layout.checkpoint("ours") == ROOT / "cache/toyworld/checkpoints/ours"
    assert layout.stage_manifest("prepare") == ROOT / "manifests/toyworld/runs/prepare.json"
    assert layout.stage_manifest("detect", "test") == ROOT / "manifests/toyworld/runs/detect-test.json"
    assert Layout.scored_run("ours", "test") == "ours"
    assert Layout.scored_run("ours", "val") == "val/ours-val"


@pytest.mark.parametrize("run", RUNS)
def test_a_checkpoint_tells_its_dataset_and_variant(tmp_path, run):
    variant = run.split("/")[-1].removesuffix("-3")
    assert checkpoint_owner(tmp_path, Layout(tmp_path, "vcoco").checkpoint(run)) == ("vcoco", variant, run)


def test_checkpoints_from_elsewhere_tell_nothing(tmp_path):
    for folder in ("models/ours", "cache/vcoco/ours", "cache/checkpoints/ours", "other/cache/vcoco/checkpoints/ours"):
        assert checkpoint_owner(tmp_path, tmp_path / folder) is None
