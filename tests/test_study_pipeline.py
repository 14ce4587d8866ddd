"""The dvc.yaml of study/ and of its folders against the code and params.yaml; dvc.yaml is for tests/test_dvc.py."""

import importlib
import json
import re
import shutil
import subprocess
from itertools import product
from pathlib import Path

import pytest
import yaml

from pipeline.config.layout import Layout
from pipeline.config.run import Run
from pipeline.store.files import sha256_of
from pipeline.store.study_rows import COMMANDS, row_inputs
from tests.import_graph import ROOT, closure, modules
from tests.roots import edit_params
from tests.test_dvc import PARAMS, fill, overlaps, section_reads
from tests.test_dvc import RUNS as ALL_MAIN_RUNS
from tests.test_dvc import STAGES as MAIN_STAGES

FILES = {
    name: yaml.safe_load((ROOT / name / "dvc.yaml").read_text())["stages"]
    for name in ("study", "study/figures", "study/weights")
}
STAGES = {
    (file, name): stage
    for file, stages in FILES.items()
    for name, stage in stages.items()
    if name not in ("code", "rows")
}
CODE, ROWS = FILES["study"]["code"], FILES["study"]["rows"]
COMMAND = re.compile(r"cd \.\. && python -m stages\.(\w+) (.*)")
PARAMS_FILE = "../params.yaml"


def in_root(path: str) -> str:
    """A path of study/ as one of the repository."""
    return path.removeprefix("../") if path.startswith("../") else f"study/{path}"


def as_list(value):
    return [value] if isinstance(value, str) else value


def runs_of(file: str, name: str) -> list[dict]:
    axes = {key: fill(values) for key, values in STAGES[file, name].get("matrix", {}).items()}
    found = []
    for values in product(*axes.values()):
        item = dict(zip(axes, values, strict=True))
        text = re.sub(
            r"\$\{item\.(\w+)\}", lambda match, item=item: str(item[match[1]]), json.dumps(STAGES[file, name])
        )
        stage = json.loads(text)
        assert stage.get("wdir", ".") == ("." if file == "study" else "..")
        assert all(list(section) == [PARAMS_FILE] for section in stage.get("params", []))
        run = {
            "stage": name,
            "item": item,
            "calls": [COMMAND.fullmatch(call).groups() for call in as_list(stage["cmd"])],
        }
        run["deps"] = [in_root(dep) for dep in stage["deps"]]
        run["outs"] = [in_root(next(iter(out))) for out in stage["outs"]]
        assert not any(next(iter(out.values()))["cache"] for out in stage["outs"])  # DVC caches nothing out there
        run["params"] = [key for section in stage.get("params", []) for key in section[PARAMS_FILE]]
        found.append(run)
    return found


# Those of params.yaml as it is: of the lists that are empty there, label_pairs and label are the study's as well.
LABELS = ("pair_labels", "image_labels")
MAIN_RUNS = [
    run for run in ALL_MAIN_RUNS if not any(name in path for path in run["deps"] + run["outs"] for name in LABELS)
]
RUNS = [run for file, name in STAGES for run in runs_of(file, name)]
RECIPES = [run for run in RUNS if run["stage"] in FILES["study/weights"]]
OTHERS = [run for run in RUNS if run not in RECIPES]


def commands(run: dict) -> set[str]:
    return {name for name, _ in run["calls"]}


def rows_in(run: dict) -> set[str]:
    """Rows that a run of the study trains, infers or scores; none for the other stages."""
    if not commands(run) <= {*COMMANDS, "evaluate"} or ("seed" in run["item"] and run["stage"] == "train"):
        return set()
    words = [arguments.split() for _, arguments in run["calls"]]
    return {words[words.index("--variant") + 1].partition("+")[0] for words in words}


def test_a_run_depends_on_its_rows_or_on_the_code_of_its_commands():
    assert any(len(rows_in(run)) == 2 for run in RUNS)
    for run in RUNS:
        own = {dep for dep in run["deps"] if dep.startswith("study/")}
        rows = {f"study/rows/{row}.json" for row in rows_in(run)}
        assert own == (rows or {f"study/code/{name}.json" for name in commands(run)}), run
    name, arguments = COMMAND.fullmatch(CODE["cmd"]).groups()
    *listed, _, folder = arguments.split()
    assert (name, folder) == ("code", "study/code") and CODE["always_changed"]
    assert set(listed) == {name for run in RUNS if not rows_in(run) for name in commands(run)}
    assert [next(iter(out)) for out in CODE["outs"]] == [f"code/{name}.json" for name in listed]
    assert ROWS["cmd"].endswith("stages.rows --dataset toyworld --folder study/rows") and ROWS["always_changed"]


def test_the_inputs_of_a_row_cover_what_its_commands_read():
    """Params by section, data by the stages that make them, and the code of the row's own method."""
    found = row_inputs(Layout(ROOT, "toyworld"), "exp4")
    assert set(found["evaluate"]) == {"exp4", "exp3"}
    read = set().union(*(section_reads(f"stages.{command}") for command in COMMANDS))
    sections = {key.removeprefix("<dataset>.") for key in read if key.startswith("<dataset>.")}
    assert sections == {*found["params"], "evaluate"}
    made = [
        run
        for run in MAIN_RUNS
        if "-".join([run["stage"], *run["item"].get("split", "").split()]) in found["artifacts"]
    ]
    outs = [out for run in made for out in run["outs"]]
    for run in MAIN_RUNS:
        if run["stage"] in ("train", "infer", "evaluate") and run["item"]["variant"] in PARAMS["run_variants"]:
            data = [dep for dep in run["deps"] if dep.startswith(("cache", "manifests"))]
            others = [dep for dep in data if not any(overlaps(dep, out) for out in outs)]
            assert all("checkpoints" in dep or "predictions" in dep for dep in others)


def test_another_method_or_row_leaves_a_rows_inputs_as_they_are(tmp_path):
    for name in ("pipeline", "stages"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "weights", "assets"))
    shutil.copytree(ROOT / "manifests", tmp_path / "manifests")
    shutil.copy(ROOT / "params.yaml", tmp_path)
    layout = Layout(tmp_path, "toyworld")

    def inputs():
        return {row: row_inputs(layout, row) for row in ("ours", "ppr_fcn")}

    before = inputs()
    method = tmp_path / "pipeline/methods/ppr_fcn.py"
    method.write_text(method.read_text() + "# a comment\n")
    assert inputs() == before
    method.write_text(method.read_text() + "MORE = 1\n")
    edit_params(tmp_path, lambda document: document["variants"].update(mine={"desc": "a new row"}))
    after = inputs()
    assert after["ours"] == before["ours"]
    assert {key for key in after["ppr_fcn"] if after["ppr_fcn"][key] != before["ppr_fcn"][key]} == {"code"}
    edit_params(tmp_path, lambda document: document["variants"]["exp7"]["evaluate"].update(weights={"detector": 1}))
    assert {key for key in before["ours"] if inputs()["ours"][key] != before["ours"][key]} == {"evaluate"}
    assert set(before["ours"]["class_splits"]) == {"hicodet.json", "toyworld.json"}


def test_the_inputs_of_a_row_with_a_clip_of_its_own_cover_its_weights():
    layout, variants = Layout(ROOT, "toyworld"), PARAMS["variants"]
    weights = ROOT / variants["ours_vit"]["model"]["clip"]
    assert row_inputs(layout, "ours_vit")["artifacts"]["clip"] == sha256_of(weights)
    assert "clip" not in row_inputs(layout, "ours")["artifacts"]  # whose bank is made by the dataset's
    for name in ("train", "train_images", "train_boxes"):
        assert str(weights.relative_to(ROOT)) in MAIN_STAGES[name]["deps"]


@pytest.mark.parametrize("command", sorted({name for run in RUNS if not rows_in(run) for name in commands(run)}))
def test_params_cover_the_sections_that_the_command_reads(command):
    source = modules()[f"stages.{command}"].read_text()
    read = section_reads(f"stages.{command}")
    read |= {key for key in ("figure_variants", "figure_seeds") if f"load_{key}(" in source}
    for run in [run for run in RUNS if command in commands(run) and not rows_in(run)]:
        item = {"dataset": "toyworld", "variant": "none"} | run["item"]
        wanted = {key.replace("<dataset>", item["dataset"]).replace("<variant>", item["variant"]) for key in read}
        wanted = {key for key in wanted if "none" not in key}
        assert not [key for key in wanted if not any(f"{key}.".startswith(f"{own}.") for own in run["params"])], run


def test_training_for_the_figures_is_that_of_the_main_pipeline_with_a_seed():
    main, own = MAIN_STAGES["train"], FILES["study/figures"]["train"]
    assert own["cmd"] == f"cd .. && {main['cmd']} --seed ${{item.seed}}"
    assert own["params"] == [{PARAMS_FILE: main["params"]}]
    data = [dep for dep in main["deps"] if dep.startswith(("cache/", "manifests/")) or "weights" in dep]
    assert [in_root(dep) for dep in own["deps"]] == ["study/code/train.json", *data]


def test_every_command_is_accepted_by_its_stage():
    for run in RUNS:
        for name, arguments in run["calls"]:
            module = importlib.import_module(f"stages.{name}")
            module.command.make_context(name, arguments.split()).close()


def test_every_dep_is_made_by_a_stage_and_every_param_exists():
    made = [out for run in [*MAIN_RUNS, *RUNS] for out in run["outs"]]
    made += [in_root(next(iter(out))) for stage in (CODE, ROWS) for out in stage["outs"]]
    for run in RUNS:
        for dep in run["deps"]:
            assert any(overlaps(dep, out) for out in made), dep
        for key in run["params"]:
            node = PARAMS
            for part in key.split("."):
                assert part in node, key
                node = node[part]


def test_outs_are_paths_of_the_layout_and_nobody_elses():
    for run in OTHERS:
        layout, item = Layout(Path(), run["item"].get("dataset", "toyworld")), run["item"]
        unseen = [f"{section}.unseen={item['split']}" for section in ("train", "evaluate") if run["stage"] == "unseen"]
        seeded = Run(item.get("variant", "none"), tuple(unseen), seed=item.get("seed", 0))
        own = [f"model.clip_vit.regions={item['regions']}"] if "regions" in item else []
        tuned = Run(seeded.variant, (*own, f"train.learning_rate={item.get('learning_rate')}"), split="val")
        known = {layout.checkpoint(seeded), layout.representations(seeded), layout.separation}
        known |= {layout.tsne("pairs"), layout.tsne("bank"), layout.study(seeded), layout.metrics(tuned)}
        known |= {layout.stage_manifest("train", seeded), layout.stage_manifest("represent", seeded)}
        known |= {layout.proposals("val"), layout.stage_manifest("detect", "val")}
        known |= {layout.pair_labels("train"), layout.stage_manifest("label_pairs")}
        known |= {
            kind(source) for kind in (layout.image_labels, layout.label_quality) for source in ("captions", "clip")
        }
        known |= {layout.stage_manifest(stage) for stage in ("label_captions", "label", "label_quality")}
        assert {Path(out) for out in run["outs"]} <= known
    outs = [out for run in RUNS for out in run["outs"]]
    assert len(outs) == len(set(outs))
    assert not any(overlaps(one, other) for one in outs for run in MAIN_RUNS for other in run["outs"])


def test_the_figures_runs_are_those_of_the_study():
    """So that `make study` leaves the checkpoints that `make figures` needs."""
    rows = [run for run in RUNS if "score" in commands(run)]
    made = {(run["item"]["variant"], run["item"]["seed"]) for run in rows}
    assert set(product(PARAMS["figure_variants"], PARAMS["figure_seeds"])) <= made


def test_the_main_pipeline_waits_for_none_but_the_frozen_recipes():
    assert RECIPES and all(stage["frozen"] for stage in FILES["study/weights"].values())
    outs = [out for run in OTHERS for out in run["outs"]]
    assert not any(overlaps(dep, out) for run in MAIN_RUNS for dep in run["deps"] for out in outs)


def test_dvc_keeps_the_study_out_of_the_main_pipeline():
    """A folder with a .dvc of its own is another project to DVC; both leave out Python's caches, and call nobody."""
    for name in (".dvc/config", ".dvcignore"):
        assert (ROOT / "study" / name).read_text() == (ROOT / name).read_text()
    assert "check_update = false" in (ROOT / ".dvc/config").read_text()


def test_code_is_python_alone():
    """Else the digests, which are of reachable modules, would leave out what these read."""
    others = {path.relative_to(ROOT / "pipeline") for path in (ROOT / "pipeline").rglob("*") if path.is_file()}
    others = {path for path in others if path.suffix not in (".py", ".pyc")}
    others.remove(Path("store/published_files.json"))  # addresses (.dvcignore)
    class_splits = {"data/unseen"}  # in the digests of the rows that read them
    not_the_study = {"report/assets", "truth", "prediction/models/toyworld", "prediction/models/toyworld/ours"}
    assert {path.parent.as_posix() for path in others} == {"toyworld/weights"} | class_splits | not_the_study
    reached = closure(*(f"stages.{name}" for run in RUNS for name in commands(run)))
    assert "pipeline.report.page" not in reached  # which reads the assets


def test_every_committed_result_is_an_output_or_named_in_a_text():
    """What nothing makes and nothing speaks of is a leftover."""
    listed = subprocess.run(["git", "ls-files", "results"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    made = [out for run in [*ALL_MAIN_RUNS, *RUNS] for out in run["outs"] if out.startswith("results/")]
    texts = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")))
    left = [name for name in listed.splitlines() if not any(overlaps(name, out) for out in made) and name not in texts]
    assert [name for name in left if not name.endswith("/.gitignore")] == []
