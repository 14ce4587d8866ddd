"""The rooms of `pipeline/` and who may import whom; weak supervision is a property of this table."""

import ast
import sys

import pytest

from tests.import_graph import closure, imports, is_first_party, modules, room_modules

# What a room may import of other rooms: a whole room, or single modules of it.
ALLOWED = {
    "core": (),
    "store": ("core",),
    "data": ("core", "store"),
    "toyworld": ("core", "store", "data"),
    "detection": ("core", "store", "data.split", "data.split_images", "data.coco_categories"),
    "prompts": ("core", "store"),
    "backbones": ("core", "store", "detection.detectors"),
    "methods": ("core", "backbones"),
    "training": ("core", "store", "backbones.base", "methods", "data.bags"),
    "inference": ("core", "store", "data", "detection", "methods"),
    "evaluation": (
        "core",
        "store",
        "data.ground_truth",
        "data.vcoco_annotations",
        "data.vcoco_pairs",
        "data.coco_categories",
    ),
    "report": ("core", "store", "evaluation", "data.ground_truth_file", "data.split", "data.split_images"),
}
WITHOUT_BOXES = ("training", "methods", "backbones", "detection", "prompts")
ANNOTATIONS = (
    "ground_truth",
    "ground_truth_file",
    "reader",
    "hicodet_annotations",
    "hicodet_mat",
    "vcoco_annotations",
    "vcoco_pairs",
    "vcoco_people_file",
    "folder_reader",
    "hicodet_reader",
    "vcoco_reader",
)


def inside(module: str, place: str) -> bool:
    return module == f"pipeline.{place}" or module.startswith(f"pipeline.{place}.")


def annotated(module: str) -> bool:
    return module.startswith("pipeline.data.ground_truth") or module in {
        f"pipeline.data.{name}" for name in ANNOTATIONS
    }


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
            assert not any(name.startswith("stages") for name in closure(module)), module


@pytest.mark.parametrize("room", WITHOUT_BOXES)
def test_weak_supervision_is_structural(room):
    """Nothing that trains can reach an annotated box, however far it follows its imports."""
    reached = closure(*room_modules(room))
    assert f"pipeline.{room}" in reached
    assert not sorted(filter(annotated, reached))


def test_the_train_stage_cannot_reach_boxes_either():
    assert "pipeline.training.loop" in closure("stages.train")
    assert not sorted(filter(annotated, closure("stages.train")))


def test_representations_are_made_without_boxes_too():
    assert "pipeline.inference.represent_split" in closure("stages.represent")
    assert not sorted(filter(annotated, closure("stages.represent")))


def test_ground_truth_is_seen_where_it_is_used():
    """The same search finds it from where it belongs; so an empty answer above means something."""
    assert "pipeline.data.ground_truth_file" in closure("stages.evaluate")
    assert "pipeline.data.ground_truth_file" in closure("stages.prepare")
    assert all(f"pipeline.data.{name}" in modules() for name in ANNOTATIONS)


def test_nothing_is_imported_by_a_computed_name():
    """Such imports would escape these tests.

    The console script does it, for its sub-commands, and `plugins`, for what params name: `closure` follows that.
    """
    hidden = set()
    for module, path in modules().items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            name = getattr(node, "id", getattr(node, "attr", None))
            if name in ("import_module", "__import__", "exec"):
                hidden.add(module)
    assert hidden == {"stages.cli", "pipeline.core.plugins"}


def test_core_needs_numbers_and_what_checks_params_alone():
    assert third_party(closure(*room_modules("core"))) == {"numpy", "torch", "pydantic", "pydantic_core", "ruamel"}


@pytest.mark.parametrize(
    ("package", "rooms"),
    [
        ("click", ()),
        ("dask", ("evaluation",)),
        ("h5py", ("store",)),
        ("zarr", ("store",)),
        ("clip", ("store", "backbones", "toyworld")),
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
