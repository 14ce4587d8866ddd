import inspect
from pathlib import Path

import pytest

from pipeline.config.layout import Layout
from pipeline.config.run import Run
from tests.config.test_run import RUNS

ROOT = Path("root")


def every_path(layout: Layout, run: Run) -> dict[str, Path]:
    """Each path of the class by its name, for one run, and some of the run on another split."""
    given = {
        "run": run,
        "of": run,
        "split": "train",
        "stage": "train",
        "suffix": "md",
        "what": "pairs",
        "factor": "global",
        "source": "clip",
    }
    paths = {"predictions on val": layout.predictions(run.on("val")), "metrics on val": layout.metrics(run.on("val"))}
    for name, member in vars(Layout).items():
        if isinstance(member, property):
            paths[name] = getattr(layout, name)
        elif inspect.isfunction(member) and not name.startswith("_"):
            _, *parameters = inspect.signature(member).parameters
            paths[name] = member(layout, *(given[parameter] for parameter in parameters))
    return {name: path for name, path in paths.items() if not name.startswith("_")}


@pytest.mark.parametrize("run", RUNS)
def test_every_path_lies_under_the_root_and_is_its_own(run):
    paths = every_path(Layout(ROOT, "toyworld"), run)
    assert all(path.is_relative_to(ROOT) and ".." not in path.parts for path in paths.values())
    assert len(set(paths.values())) == len(paths)
    others = every_path(Layout(ROOT, "vcoco"), run)
    assert [name for name, path in paths.items() if path == others[name]] == ["params"]


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
