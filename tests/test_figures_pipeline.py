"""figures/dvc.yaml against the code and params.yaml, as tests/test_dvc.py does for dvc.yaml."""

import importlib
import json
import re
from itertools import product
from pathlib import Path

import pytest
import yaml

from pipeline.core.layout import Layout, run_name
from tests.import_graph import ROOT, closure, modules
from tests.test_dvc import PARAMS, module_of, overlaps, section_reads
from tests.test_dvc import RUNS as MAIN_RUNS
from tests.test_dvc import STAGES as MAIN_STAGES

STAGES = yaml.safe_load((ROOT / "figures/dvc.yaml").read_text())["stages"]
STUDY = yaml.safe_load((ROOT / "study/dvc.yaml").read_text())["stages"]


def runs_of(name: str) -> list[dict]:
    axes = {key: PARAMS[values.strip("${}")] for key, values in STAGES[name]["matrix"].items()}
    found = []
    for values in product(*axes.values()):
        item = dict(zip(axes, values, strict=True))
        text = re.sub(r"\$\{item\.(\w+)\}", lambda match, item=item: str(item[match[1]]), json.dumps(STAGES[name]))
        stage = json.loads(text)
        outs = [next(iter(out)) if isinstance(out, dict) else out for out in stage["outs"] + stage.get("metrics", [])]
        found.append({"stage": name, "item": item, **stage, "outs": outs})
    return found


RUNS = [run for name in STAGES for run in runs_of(name)]


def module(name: str) -> str:
    return re.fullmatch(r"python -m (stages\.\w+)\b.*", STAGES[name]["cmd"])[1]


@pytest.mark.parametrize("name", STAGES)
def test_deps_cover_every_module_that_the_stage_can_reach(name):
    deps = [dep for dep in STAGES[name]["deps"] if dep.startswith(("pipeline/", "stages/"))]
    reached = {modules()[part].relative_to(ROOT) for part in closure(module(name))}
    reached = {path for path in reached if path.name != "__init__.py"}
    assert not sorted(str(path) for path in reached if not any(path.is_relative_to(dep) for dep in deps))
    assert not [dep for dep in deps if "weights" not in dep and not any(path.is_relative_to(dep) for path in reached)]


@pytest.mark.parametrize("name", ["represent", "tsne"])
def test_params_are_the_sections_that_the_stage_reads(name):
    source = modules()[module(name)].read_text()
    read = {key for key in section_reads(module(name)) if not key.startswith("variants.")}
    read |= {key for key in ("figure_variants", "figure_seeds") if f"load_{key}(" in source}
    assert {re.sub(r"\$\{item\.(\w+)\}", r"<\1>", key) for key in STAGES[name]["params"]} == read


def test_training_is_that_of_the_main_pipeline_with_a_seed():
    main, own = MAIN_STAGES["train"], STAGES["train"]
    assert module("train") == module_of("train")
    assert (own["deps"], own["params"]) == (main["deps"], main["params"])
    assert own["cmd"] == main["cmd"] + " --seed ${item.seed}"


def test_every_command_is_accepted_by_its_stage():
    for run in RUNS:
        _, _, name, *arguments = run["cmd"].split()
        importlib.import_module(name).command.make_context(name, arguments).close()


def test_every_dep_is_in_the_repository_or_made_by_a_stage_and_every_param_exists():
    made = [out for run in [*MAIN_RUNS, *RUNS] for out in run["outs"]]
    for run in RUNS:
        for dep in run["deps"]:
            assert (ROOT / dep).exists() if dep.startswith("stages/") else True, dep
            assert dep.startswith(("stages/", "pipeline/")) or any(overlaps(dep, out) for out in made), dep
        for key in run["params"]:
            node = PARAMS
            for part in key.split("."):
                assert part in node, key
                node = node[part]


def test_outs_are_paths_of_the_layout_and_nobody_elses():
    for run in RUNS:
        layout = Layout(Path(), run["item"]["dataset"])
        name = run_name(run["item"].get("variant", "none"), run["item"].get("seed", 0))
        known = {layout.checkpoint(name), layout.representations(name), layout.separation}
        known |= {layout.tsne("pairs"), layout.tsne("bank")}
        known |= {layout.stage_manifest("train", name), layout.stage_manifest("represent", name, "test")}
        assert {Path(out) for out in run["outs"]} <= known
    outs = [out for run in RUNS for out in run["outs"]]
    assert len(outs) == len(set(outs))
    assert not any(overlaps(one, other) for one in outs for run in MAIN_RUNS for other in run["outs"])


def test_the_runs_are_those_of_the_study():
    """So that `make study` leaves the checkpoints that `make figures` needs."""
    made = {
        (variant, seed)
        for stage in STUDY.values()
        if "seed" in stage.get("matrix", {})
        for variant, seed in product(stage["matrix"]["variant"], stage["matrix"]["seed"])
    }
    assert set(product(PARAMS["figure_variants"], PARAMS["figure_seeds"])) <= made


def test_the_main_pipeline_does_not_wait_for_the_figures():
    assert not any(
        overlaps(dep, out) for run in MAIN_RUNS for dep in run["deps"] for made in RUNS for out in made["outs"]
    )
