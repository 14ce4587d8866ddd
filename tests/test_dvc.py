"""dvc.yaml against the code: deps cover what a stage imports, params are what it reads, and the graph is as meant.

DVC follows neither imports nor parameter reads, so a forgotten line would leave stale results behind.
"""

import ast
import importlib
import json
import re
import subprocess
from itertools import product
from pathlib import Path

import pytest
import yaml

from pipeline.config.layout import Layout
from pipeline.config.params import RUN_VARIANTS
from pipeline.config.run import Run
from pipeline.config.sections import OVERRIDDEN, SECTIONS
from tests.import_graph import ROOT, closure, modules

PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text())
LISTED = {
    "run_image_variants": ["exp1"],
    "run_boxes_variants": ["exp2"],
    "boxes_datasets": ["toyworld"],
    "feature_datasets": ["toyworld"],
    "feature_variants": ["ours_frozen"],
    "run_feature_variants": ["ours_frozen"],
    "run_clip_variants": ["exp5"],
    "clip_datasets": ["toyworld"],
}  # so that their stages are tested
STAGES = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


def module_of(name: str) -> str:
    return re.fullmatch(r"python -m (stages\.\w+)\b.*", STAGES[name]["cmd"])[1]


def expanded(name: str) -> list[dict]:
    """A stage's runs: its matrix multiplied out, every `${item.x}` filled in, paths and params as plain lists."""
    axes = {key: fill(values) for key, values in STAGES[name].get("matrix", {}).items()}
    return [resolved(name, dict(zip(axes, values, strict=True))) for values in product(*axes.values())]


def fill(values):
    """The values of an axis; the lists that are empty in params.yaml have a name, so that their stages are tested."""
    name = values.strip("${}") if isinstance(values, str) else None
    return values if name is None else LISTED.get(name) or PARAMS[name]


def resolved(name: str, item: dict[str, str]) -> dict:
    text = re.sub(r"\$\{item\.(\w+)\}", lambda match: item[match[1]], json.dumps(STAGES[name]))
    stage = json.loads(text)
    assert "${" not in json.dumps({key: value for key, value in stage.items() if key != "matrix"})
    outs = [
        next(iter(out)) if isinstance(out, dict) else out for key in ("outs", "metrics") for out in stage.get(key, [])
    ]
    command = module_of(name).partition(".")[2]  # several stages run one: training by what it reads
    return {"stage": command, "item": item, "cmd": stage["cmd"], "deps": stage["deps"], "outs": outs,
            "params": stage.get("params", [])}  # fmt: skip


RUNS = [run for name in STAGES for run in expanded(name)]


def overlaps(one: str, other: str) -> bool:
    """One path is the other, or holds it."""
    first, second = Path(one), Path(other)
    return first.is_relative_to(second) or second.is_relative_to(first)


# Structure


def test_every_stage_says_what_it_does():
    assert all(len(stage.get("desc", "")) > 20 for stage in STAGES.values())


def test_every_command_is_accepted_by_its_stage():
    for run in RUNS:
        _, _, module, *arguments = run["cmd"].split()
        command = importlib.import_module(module).command
        command.make_context(module, arguments).close()


@pytest.mark.parametrize("name", STAGES)
def test_deps_cover_every_module_that_the_stage_can_reach(name):
    """Package files run no code (tested), so they are left out."""
    deps = [dep for dep in STAGES[name]["deps"] if dep.startswith(("pipeline/", "stages/"))]
    reached = {modules()[module].relative_to(ROOT) for module in closure(module_of(name))}
    reached = {path for path in reached if path.name != "__init__.py"}
    missing = sorted(str(path) for path in reached if not any(path.is_relative_to(dep) for dep in deps))
    assert not missing
    unused = [dep for dep in deps if "weights" not in dep and not any(path.is_relative_to(dep) for path in reached)]
    assert not unused


def test_every_dep_is_a_file_of_the_repository_or_made_by_a_stage():
    made = [out for run in RUNS for out in run["outs"]]
    for run in RUNS:
        for dep in run["deps"]:
            assert dep.startswith(("stages/", "pipeline/")) or any(overlaps(dep, out) for out in made), dep
            if dep.startswith("stages/"):
                assert (ROOT / dep).is_file(), dep


def test_outs_are_paths_of_the_layout():
    for run in RUNS:
        if "dataset" not in run["item"]:
            continue
        layout, variant = Layout(Path(), run["item"]["dataset"]), Run(run["item"].get("variant", "none"))
        properties = {name for name, value in vars(Layout).items() if isinstance(value, property) and name[0] != "_"}
        known = {getattr(layout, name) for name in properties} | {layout.ground_truth("test").parent}
        known |= {layout.checkpoint(variant), layout.predictions(variant), layout.training_log(variant)}
        known |= {layout.metrics(variant), layout.per_class(variant), layout.precision_recall(variant)}
        known |= {layout.weight_sweeps(variant), layout.detections(variant), layout.headline(variant)}
        known |= {
            kind(split)
            for kind in (layout.split, layout.proposals, layout.pair_labels)
            for split in ("train", "val", "test")
        }
        if run["stage"] == "encode_images":
            variant = variant.on("train")
            known.add(layout.features(variant))
        known.add(layout.image_labels("clip"))
        of = variant if "variant" in run["item"] else run["item"].get("split")
        known.add(layout.stage_manifest(run["stage"], of))
        assert {Path(out) for out in run["outs"]} <= known


def test_no_two_runs_write_the_same_path_and_nothing_depends_on_itself():
    outs = [out for run in RUNS for out in run["outs"]]
    assert len(outs) == len(set(outs))
    assert not any(overlaps(dep, out) for run in RUNS for dep in run["deps"] for out in run["outs"] if "cache" in dep)
    assert not any(run["stage"] in {other["stage"] for other in downstream([run])} for run in RUNS)


# Params


CLASSES = {path.rpartition(".")[2]: section for section, path in SECTIONS.items()}


def section_reads(module: str) -> set[str]:
    """Sections that a stage module reads, with <dataset> and <variant> for the choice on the command line.

    They are named by their classes: `stage.params(DetectParams)`, `load_params(...)[EvaluateParams]`; any other use of
    params fails this test. A command that has a variant reads the overrides of that as well.
    """
    options = {option.name for option in importlib.import_module(module).command.params}
    found: set[str] = set()
    for tree in trees_with_stage(module):
        parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
        assert not [node for node in ast.walk(tree) if getattr(node, "attr", None) == "all_params"], module
        for function, call in calls(tree):
            kind = call.args[0] if function == "params" else getattr(parents[call], "slice", None)
            if function == "load_run_variants":
                found |= set(RUN_VARIANTS)
            elif function == "load_variants":
                found.add("variants")
            elif function == "params" or (function == "load_params" and kind):
                found |= keys(CLASSES[kind.id], with_variant=bool(options & {"variant", "variants"}))
            elif function == "load_params":
                assert isinstance(parents[call], ast.Expr), f"{module}:{call.lineno}: params are handed on whole"
    return found


def trees_with_stage(module: str) -> list[ast.Module]:
    """The module, and those whose functions it hands its `stage` to: they may read further sections."""
    trees, waiting = {}, [module]
    while waiting:
        name = waiting.pop()
        trees[name] = tree = ast.parse(modules()[name].read_text())
        froms = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
        origin = {alias.name: node.module for node in froms for alias in node.names}
        for function, call in calls(tree):
            if any(getattr(argument, "id", None) == "stage" for argument in call.args):
                waiting += {origin.get(function, name)} - trees.keys()
    return list(trees.values())


def calls(tree: ast.AST) -> list[tuple[str | None, ast.Call]]:
    """Calls with the function's or method's name."""
    found = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [(getattr(node.func, "id", getattr(node.func, "attr", None)), node) for node in found]


def keys(section: str, with_variant: bool) -> set[str]:
    own = {f"<dataset>.{section}"}
    return own | {f"variants.<variant>.{section}"} if with_variant and section in OVERRIDDEN else own


@pytest.mark.parametrize("name", STAGES)
def test_params_are_the_sections_that_the_stage_reads(name):
    written = {re.sub(r"\$\{item\.(\w+)\}", r"<\1>", key) for key in STAGES[name]["params"]}
    read = section_reads(module_of(name))
    if "variants" in read:  # the whole section, so no row of it need be named
        read = {key for key in read if not key.startswith("variants.")}
    assert written == read


def test_every_declared_param_exists():
    for run in RUNS:
        for key in run["params"]:
            node = PARAMS
            for part in key.split("."):
                assert part in node, key
                node = node[part]


# What runs again


def downstream(starts: list[dict]) -> list[dict]:
    """Runs that depend on what these make, directly or through others."""
    reached: list[dict] = []
    waiting = list(starts)
    while waiting:
        outs = waiting.pop()["outs"]
        for run in RUNS:
            if run not in reached and any(overlaps(dep, out) for dep in run["deps"] for out in outs):
                reached.append(run)
                waiting.append(run)
    return reached


def affected(key: str) -> list[dict]:
    """Runs that a change of one parameter makes stale."""
    readers = [run for run in RUNS if any(f"{key}.".startswith(f"{section}.") for section in run["params"])]
    assert readers, f"nothing reads {key}"
    return readers + [run for run in downstream(readers) if run not in readers]


AFTER_TRAIN = {"train", "infer", "evaluate", "report"}


@pytest.mark.parametrize(
    ("key", "stages"),
    [
        ("evaluate.weights", {"evaluate", "report"}),
        ("report.num_images", {"report"}),
        ("infer.batch_size", {"infer", "evaluate", "report"}),
        ("train.learning_rate", AFTER_TRAIN),
        ("model.bilevel", {"encode_images", "label"} | AFTER_TRAIN),
        ("encode_prompts.template", {"encode_prompts", "label"} | AFTER_TRAIN),
        ("clip.weights", {"encode_prompts", "encode_images", "label"} | AFTER_TRAIN),
        ("detect.score_threshold", {"detect", "label_pairs", "label"} | AFTER_TRAIN),
        ("prepare.seed", {run["stage"] for run in RUNS}),
    ],
)
def test_one_parameter_makes_exactly_its_stages_stale(key, stages):
    for dataset in PARAMS["datasets"]:
        runs = affected(f"{dataset}.{key}")
        assert {run["stage"] for run in runs} == stages
        assert {run["item"]["dataset"] for run in runs} == {dataset}
        of_stages = [run for run in RUNS if run["stage"] in stages and run["item"]["dataset"] == dataset]
        assert len(runs) == len(of_stages)  # every split and variant of them


def test_other_stored_features_train_the_rows_again_that_read_them_and_no_others():
    runs = affected("toyworld.encode_images.dtype")
    assert {run["stage"] for run in runs} == {"encode_images"} | AFTER_TRAIN
    trained = {run["item"]["variant"] for run in runs if run["stage"] == "train"}
    assert trained == set(fill("${run_feature_variants}"))


def test_how_clip_labels_concerns_the_rows_that_learn_from_it_alone():
    runs = affected("toyworld.label.threshold")
    assert {run["stage"] for run in runs} == {"label"} | AFTER_TRAIN
    trained = {run["item"]["variant"] for run in runs if run["stage"] in ("train", "infer")}
    assert trained == set(fill("${run_clip_variants}"))


@pytest.mark.parametrize(("section", "stages"), [("train", AFTER_TRAIN), ("evaluate", {"evaluate", "report"})])
def test_a_variants_override_touches_that_variant_alone(section, stages):
    first, *others = PARAMS["run_variants"]
    assert others
    runs = affected(f"variants.{first}.{section}.some_key")
    assert {run["stage"] for run in runs} == stages
    own = [run for run in runs if run["stage"] != "evaluate" or section == "evaluate"]  # a row may multiply by others
    assert {run["item"].get("variant", first) for run in own} == {first}


def test_a_row_is_scored_again_when_the_run_that_it_multiplies_by_changes():
    factors = {name: row["evaluate"].get("times_run") for name, row in PARAMS["variants"].items()}
    assert any(factors.values())
    for row, factor in factors.items():
        scored = resolved("evaluate", {"dataset": "toyworld", "variant": row})
        for name in filter(None, (row, factor)):
            dump = resolved("infer", {"dataset": "toyworld", "variant": name})
            assert any(overlaps(dep, out) for dep in scored["deps"] for out in dump["outs"])


@pytest.mark.parametrize(
    ("room", "stages"),
    [
        ("pipeline/truth", {"prepare", "label_pairs", "evaluate", "report"}),
        ("pipeline/evaluation", {"evaluate", "report"}),
        ("pipeline/report", {"report"}),
    ],
)
def test_a_change_of_how_results_are_judged_trains_nothing_again(room, stages):
    """What `prepare` writes without boxes keeps its bytes when only the boxes are parsed in another way.

    Rows that are trained with boxes are trained again, and no others.
    """
    readers = [run for run in RUNS if any(overlaps(room, dep) for dep in run["deps"])]
    assert {run["stage"] for run in readers} == stages
    labeled = downstream([run for run in readers if run["stage"] == "label_pairs"])
    trained = {run["item"]["variant"] for run in labeled if run["stage"] == "train"}
    assert trained == (set(fill("${run_boxes_variants}")) if "label_pairs" in stages else set())
    judged = [run for run in readers if run["stage"] not in ("prepare", "label_pairs")]
    assert {run["stage"] for run in [*judged, *downstream(judged)]} == stages & {"evaluate", "report"}


@pytest.mark.parametrize(
    ("section", "stages"),
    [
        ("prepare", {"prepare", "label_pairs", "evaluate", "report"}),
        ("detect", {"detect", "encode_images", "label", "train", "infer"}),
        ("encode_prompts", {"encode_prompts", "encode_images", "label", "train"}),
        ("encode_images", {"encode_images", "label", "train", "infer"}),
        ("label", {"label"}),
        ("model", {"encode_images", "label", "train", "infer"}),
        ("train", {"train"}),
        ("infer", {"label", "infer"}),
        ("evaluate", {"evaluate", "report"}),
        ("report", {"report"}),
    ],
)
def test_a_new_key_of_a_section_runs_again_what_depends_on_its_room(section, stages):
    """A new setting of the report makes neither detection nor training stale: each lies in the room that reads it."""
    path = f"{SECTIONS[section].rpartition('.')[0].replace('.', '/')}.py"
    assert (ROOT / path).is_file()
    assert {run["stage"] for run in RUNS if any(overlaps(path, dep) for dep in run["deps"])} == stages


def test_a_new_path_makes_no_stage_stale():
    names = [f"pipeline/config/{name}.py" for name in ("layout", "params")]
    done = subprocess.run(["dvc", "check-ignore", *names], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == names[:1]


@pytest.mark.parametrize("command", ["detect", "encode_prompts", "label", "train", "infer", "represent"])
def test_the_code_of_a_study_command_is_not_that_of_judging(command):
    """Its digests (stages/code.py) are those of the modules that it reaches."""
    rooms = ("pipeline.truth", "pipeline.evaluation", "pipeline.report")
    reached = closure(f"stages.{command}")
    assert f"stages.{command}" in reached
    assert not [module for module in reached if module.startswith(rooms)]


# Plots


def test_plots_are_of_committed_files_and_columns_by_templates_that_exist():
    done = subprocess.run(["dvc", "plots", "templates"], cwd=ROOT, capture_output=True, text=True, check=True)
    templates = {*done.stdout.split(), *(path.stem for path in (ROOT / ".dvc/plots").glob("*.json"))}
    for plot in yaml.safe_load((ROOT / "dvc.yaml").read_text())["plots"]:
        if isinstance(plot, str):
            assert (ROOT / plot).is_file()
            continue
        ((name, plot),) = plot.items()
        assert plot["template"] in templates, name
        for file, column in plot["y"].items():  # one column each: with several, groups share a plot
            header = (ROOT / file).read_text().partition("\n")[0].split(",")
            assert {plot["x"], column} <= set(header), (name, file)
