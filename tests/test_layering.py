"""The rooms of `pipeline/` and who may import whom; weak supervision is a property of this table."""

import ast
import subprocess
import sys

import pytest

from pipeline.config.sections import SECTIONS
from tests.import_graph import ROOT, closure, imports, is_first_party, modules, room_modules

# What a room may import of other rooms: a whole room, or single modules of it.
ALLOWED = {
    "core": (),
    "config": ("core",),
    "store": ("config", "core"),
    "data": ("config", "core", "store"),
    "toyworld": ("config", "core", "store", "data"),
    "truth": ("config", "core", "store", "data", "toyworld"),  # its reader draws the toyworld
    "detection": ("config", "core", "store", "data"),
    "prompts": ("config", "core", "store"),
    "backbones": ("config", "core", "store", "detection.detectors"),  # detector_fpn is the detector's own
    "methods": ("config", "core", "backbones"),
    "training": ("config", "core", "store", "data", "detection", "prompts", "backbones", "methods"),
    "inference": ("config", "core", "store", "data", "detection", "backbones", "methods"),
    "captions": ("config", "core", "store", "data", "prompts.templates", "prompts.verb_forms", "prompts.verb_lists"),
    "labeling": ("config", "core", "store", "data", "prompts", "backbones", "methods", "inference"),
    "evaluation": ("config", "core", "store", "data", "truth"),
    "planning": (
        *("config", "core", "store", "data", "detection", "prompts", "backbones", "methods", "training", "inference"),
        *("truth.params", "truth.hicodet_community"),  # HICO-DET's official list of classes; no box
    ),
    "prediction": (
        *("config", "core", "store", "data", "detection", "backbones", "methods", "inference"),
        *("evaluation.fusion", "evaluation.params", "report.colors", "report.drawing", "report.number_text"),
    ),
    "report": ("config", "core", "store", "data", "truth", "evaluation"),
}
FORBIDDEN = "truth"  # annotated boxes: whatever module of this room
WITHOUT_BOXES = (
    *("data", "detection", "prompts", "backbones", "methods", "training", "inference"),
    *("captions", "labeling"),
)
STAGES_WITHOUT_BOXES = ("detect", "encode_prompts", "encode_images", "label", "train", "infer", "represent")


def inside(module: str, place: str) -> bool:
    return module == f"pipeline.{place}" or module.startswith(f"pipeline.{place}.")


def annotated(modules) -> list[str]:
    return sorted(module for module in modules if inside(module, FORBIDDEN))


def third_party(names) -> set[str]:
    found = {package for name in names for package in imports(name) if not is_first_party(package)}
    return found - set(sys.stdlib_module_names)


def test_every_room_has_its_row():
    assert {name.split(".")[1] for name in modules() if name.count(".") == 1 and name.startswith("pipeline.")} == set(
        ALLOWED
    )


@pytest.mark.parametrize("room", ALLOWED)
def test_a_room_imports_only_what_its_row_allows(room):
    places = (room, *ALLOWED[room])
    for module in room_modules(room):
        strangers = [
            name for name in imports(module) if is_first_party(name) and not any(inside(name, p) for p in places)
        ]
        assert not strangers, f"{module} imports {strangers}"


def test_the_library_never_imports_the_stages():
    for module in modules():
        if module.startswith("pipeline"):
            assert not any(name.startswith("stages") for name in imports(module)), module


@pytest.mark.parametrize("room", WITHOUT_BOXES)
def test_weak_supervision_is_structural(room):
    """Nothing that trains can reach an annotated box, however far it follows its imports."""
    reached = closure(*room_modules(room))
    assert f"pipeline.{room}" in reached
    assert not annotated(reached)


@pytest.mark.parametrize("stage", STAGES_WITHOUT_BOXES)
def test_no_stage_up_to_the_dump_can_reach_boxes_either(stage):
    reached = closure(f"stages.{stage}")
    assert f"stages.{stage}" in reached
    assert not annotated(reached)


def test_the_search_follows_methods_and_backbones_that_params_name():
    """They are imported by name alone, so an empty answer above has to include them."""
    for stage in ("train", "infer", "represent"):
        assert {"pipeline.methods.ppr_fcn", "pipeline.backbones.clip_resnet"} <= closure(f"stages.{stage}")


def test_ground_truth_is_seen_where_it_is_used():
    """The same search finds it from where it belongs; so an empty answer above means something."""
    for stage in ("prepare", "evaluate", "evaluate_detections", "tsne", "report"):
        assert annotated(closure(f"stages.{stage}")), stage
    assert "pipeline.truth.datasets.vcoco" in closure("stages.prepare")  # imported by its name in params alone


def test_nothing_is_imported_by_a_computed_name():
    """Such imports would escape these tests, but for plugins, which the search follows, the console script, and the
    classes of sections, which hold no code but checks of their values."""
    hidden = set()
    for module, path in modules().items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = getattr(node, "id", getattr(node, "attr", None))
            if name in ("import_module", "__import__", "exec"):
                hidden.add(module)
    assert hidden == {"pipeline.core.plugins", "pipeline.config.sections", "stages.cli"}


@pytest.mark.parametrize("section", SECTIONS)
def test_the_class_of_a_section_reaches_no_other_code(section):
    """All of them are loaded with any params, so through them nothing that trains may come to annotated boxes."""
    module = SECTIONS[section].rpartition(".")[0]
    room = ".".join(module.split(".")[:2])
    others = closure(module) - {"pipeline", room, module}
    assert [name for name in others if not inside(name, "config") and not inside(name, "core")] == []


def test_core_needs_numbers_alone_and_config_what_checks_params():
    assert third_party(room_modules("core")) == {"numpy", "torch"}
    assert third_party(room_modules("config")) == {"pydantic", "pydantic_core", "ruamel"}


@pytest.mark.parametrize(
    ("commands", "packages"),
    [
        (("report", "prepare", "proposal_recall", "annotated_proposals", "rerun"), ("torch", "torchvision")),
        (
            ("evaluate_detections", "evaluate", "export", "score", "sweep", "summary", "verify", "convert"),
            ("torch", "torchvision", "matplotlib", "PIL", "scipy", "sklearn", "dask", "distributed", "transformers"),
        ),
    ],
)
def test_commands_that_compute_with_numpy_do_not_wait_for(commands, packages):
    modules = ", ".join(f"stages.{name}" for name in commands)
    code = f"import {modules}, sys; print([name for name in {packages} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize(
    ("package", "rooms"),
    [
        ("click", ()),
        ("dask", ("evaluation",)),
        ("h5py", ("store",)),
        ("zarr", ("store",)),
        ("clip", ("store",)),
        ("sklearn", ("report",)),
    ],
)
def test_packages_have_their_rooms(package, rooms):
    for room in ALLOWED:
        if package in third_party(room_modules(room)):
            assert room in rooms, f"pipeline.{room} imports {package}"


def test_packages_run_no_code_when_imported():
    for module, path in modules().items():
        if path.name == "__init__.py":
            kinds = {type(node) for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))}
            assert not kinds & {ast.Import, ast.ImportFrom, ast.Call, ast.FunctionDef, ast.ClassDef}, module


def test_one_module_stands_between_us_and_an_unmaintained_package():
    assert [name for name in modules() if "clip" in {found.split(".")[0] for found in imports(name)}] == [
        "pipeline.store.openai_clip"
    ]


@pytest.mark.slow
def test_it_does_not_import_what_a_new_setuptools_lacks():
    code = "import sys, pipeline.store.openai_clip as it; print(it.CLIP.__module__, 'pkg_resources' in sys.modules)"
    call = [sys.executable, "-W", "default", "-c", code]  # a further process, since here it is imported already
    done = subprocess.run(call, capture_output=True, text=True, check=True)
    assert done.stdout == "clip.model False\n"
    assert "pkg_resources" not in done.stderr


@pytest.mark.slow
def test_without_that_package_one_line_says_what_to_install():
    code = "import sys; sys.modules['clip'] = None; from stages.cli import main; main()"
    call = [sys.executable, "-c", code, "predict", "examples/toyworld.png"]
    done = subprocess.run(call, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("Error: openai-clip cannot be imported (") and "pip install" in line
