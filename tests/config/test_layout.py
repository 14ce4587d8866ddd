from pathlib import Path

import pytest

from pipeline.config.layout import Layout
from pipeline.config.run import Run
from tests.config.test_run import RUNS

ROOT = Path("root")


def every_path(layout: Layout, run: Run) -> dict[str, Path]:
    of_run = ("checkpoint", "predictions", "detections", "representations", "training_log", "metrics", "per_class")
    of_run += ("precision_recall", "weight_sweeps", "study")
    of_dataset = ("params", "drawn_images", "vocabulary", "stage_manifests", "knowledge_bank")
    of_dataset += ("separation", "examples", "figures", "report", "studies", "tuning")
    return {
        **{name: getattr(layout, name) for name in of_dataset},
        **{name: getattr(layout, name)(run) for name in of_run},
        "predictions on val": layout.predictions(run.on("val")),
        "metrics on val": layout.metrics(run.on("val")),
        **{name: getattr(layout, name)("train") for name in ("split", "proposals")},
        **{name: getattr(layout, name)("test") for name in ("ground_truth", "people", "imported_proposals")},
        **{name: getattr(layout, name)("train", run) for name in ("stage_manifest", "work", "lock")},
        "tsne": layout.tsne("pairs"),
        "ablations": layout.ablations("md"),
        "sweep": layout.sweep("global"),
    }


@pytest.mark.parametrize("run", RUNS)
def test_every_path_lies_under_the_root_and_is_its_own(run):
    paths = every_path(Layout(ROOT, "toyworld"), run)
    assert all(path.is_relative_to(ROOT) and ".." not in path.parts for path in paths.values())
    assert len(set(paths.values())) == len(paths)
    others = every_path(Layout(ROOT, "vcoco"), run)
    assert [name for name, path in paths.items() if path == others[name]] == ["params"]


def test_every_path_of_the_class_is_tested():
    public = {name for name in vars(Layout) if not name.startswith("_")} - {"root", "dataset"}
    assert public <= set(every_path(Layout(ROOT, "toyworld"), Run("ours")))


def test_runs_of_a_study_lie_in_folders_of_their_own():
    layout, run = Layout(ROOT, "toyworld"), Run("ours", seed=3)
    assert layout.checkpoint(run) == ROOT / "cache/toyworld/seeds/checkpoints/ours-3"
    assert layout.predictions(run) == ROOT / "cache/toyworld/seeds/predictions/ours-3.zarr"
    assert layout.predictions(run.on("val")) == ROOT / "cache/toyworld/seeds/predictions/ours-3-val.zarr"
    assert layout.representations(run) == ROOT / "cache/toyworld/seeds/representations/ours-3.h5"
    assert layout.metrics(run) == ROOT / "results/toyworld/seeds/ours-3.json"
    assert layout.per_class(run) == ROOT / "results/toyworld/seeds/per_class/ours-3.csv"
    assert layout.study(run) == ROOT / "results/toyworld/study/ours-3.json"
    assert layout.stage_manifest("infer", run) == ROOT / "manifests/toyworld/runs/seeds/infer-ours-3-test.json"
    assert layout.work("infer", run).parent == layout.work("detect", "train").parent


def test_the_pipelines_own_runs():
    layout, run = Layout(ROOT, "toyworld"), Run("ours")
    assert layout.checkpoint(run) == ROOT / "cache/toyworld/checkpoints/ours"
    assert layout.metrics(run.on("val")) == ROOT / "results/toyworld/val/ours-val.json"
    assert layout.weight_sweeps(run) == ROOT / "results/toyworld/weights/ours"
    for stage, of, name in (
        ("prepare", None, "prepare"),
        ("detect", "test", "detect-test"),
        ("train", run, "train-ours"),
        ("infer", run, "infer-ours-test"),
        ("evaluate", run, "evaluate-ours"),
    ):
        assert layout.stage_manifest(stage, of) == ROOT / f"manifests/toyworld/runs/{name}.json"
