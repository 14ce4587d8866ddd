import pytest

import pipeline.store.source_files
from pipeline.store.source_files import (
    code_digest,
    imported_modules,
    reachable_modules,
    source_files,
    statements_digest,
)
from tests.conftest import ROOT

FILES = {
    "stages/__init__.py": "",
    "stages/run.py": "def command():\n    from pipeline.room import work\n    import numpy.linalg\n",
    "stages/report.py": "import pipeline.room.drawing\n",
    "pipeline/__init__.py": "",
    "pipeline/room/__init__.py": "",
    "pipeline/room/work.py": "from __future__ import annotations\nfrom pipeline.room.deep import name, other\n",
    "pipeline/room/deep.py": "from pipeline.room import work\nname = other = 1\n",
    "pipeline/room/drawing.py": "",
    "elsewhere/run.py": "",
}


@pytest.fixture
def root(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_modules_are_those_of_the_packages(root):
    modules = source_files(root)
    assert modules["pipeline.room"] == root / "pipeline/room/__init__.py"
    assert modules["stages.run"] == root / "stages/run.py"
    assert len(modules) == len(FILES) - 1


def test_imports_are_followed_through_functions_and_in_circles(root):
    modules = source_files(root)
    assert imported_modules(modules["stages.run"], modules) == {"pipeline.room.work", "numpy"}
    assert imported_modules(modules["pipeline.room.work"], modules) == {"pipeline.room.deep"}
    assert reachable_modules({"stages.run"}, modules) == {"stages.run", "pipeline.room.work", "pipeline.room.deep"}


def test_who_loads_plugins_reaches_all_of_its_room(root):
    for name in ("core/__init__", "core/plugins", "plugged/__init__", "plugged/one", "plugged/many/method"):
        path = root / f"pipeline/{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("import pipeline.room.deep\n" if name.endswith("method") else "")
    (root / "pipeline/plugged/catalog.py").write_text("from pipeline.core.plugins import load_plugin\n")
    (root / "stages/report.py").write_text("from pipeline.plugged.catalog import load\n")
    found = reachable_modules({"stages.report"}, source_files(root))
    assert {"pipeline.plugged.one", "pipeline.plugged.many.method", "pipeline.room.deep"} < found
    assert "pipeline.room.drawing" not in found


@pytest.mark.parametrize(
    ("line", "told"), [("from . import x", "relative import"), ("from pipeline.room import x", "no module")]
)
def test_what_cannot_be_followed_is_refused(root, line, told):
    path = root / "stages/run.py"
    path.write_text(line + "\n")
    modules = {name: file for name, file in source_files(root).items() if not name.startswith("pipeline")}
    with pytest.raises(ValueError, match=told):
        imported_modules(path, modules)


def digest(root, module="stages.run") -> str:
    """As in a new process."""
    code_digest.cache_clear()
    return code_digest(module, root=root)


@pytest.mark.parametrize("name", FILES)
def test_the_digest_is_of_the_files_that_the_module_reaches(root, name):
    before = digest(root)
    assert digest(root) == before
    (root / name).write_text(FILES[name] + "# more\n")
    reached = name in ("stages/run.py", "pipeline/room/work.py", "pipeline/room/deep.py")
    assert (digest(root) != before) == reached


def test_the_digest_is_of_the_library_versions(root, monkeypatch):
    before = digest(root)
    versions = pipeline.store.source_files.library_versions() | {"torch": "0.0.1"}
    monkeypatch.setattr(pipeline.store.source_files, "library_versions", lambda: versions)
    assert digest(root) != before


def test_the_digest_is_the_same_wherever_the_code_lies(root, tmp_path_factory):
    other = tmp_path_factory.mktemp("other") / "packages"
    root.rename(other)
    before = digest(other)
    other.rename(root)
    assert digest(root) == before


@pytest.mark.parametrize("text", ["from . import deep\n", "def command(:\n"])
def test_every_file_counts_where_the_code_cannot_be_followed(root, text):
    (root / "stages/run.py").write_text(text)
    before = digest(root)
    (root / "pipeline/room/drawing.py").write_text("drawn = 1\n")
    assert digest(root) != before
    assert digest(root, "tests.of.no.package") == digest(root)


def test_an_installation_without_source_files_has_a_digest(tmp_path):
    assert digest(tmp_path) == digest(tmp_path, "stages.other")


def test_a_process_keeps_the_digest_of_the_code_that_it_began_with(root):
    before = digest(root)
    (root / "stages/run.py").write_text("")
    assert code_digest("stages.run", root=root) == before


def test_infer_does_not_depend_on_what_only_draws():
    reached = reachable_modules({"pipeline.inference.jobs", "pipeline.store.engine"}, source_files(ROOT))
    rooms = ("inference.pair_outputs", "methods.bilevel.network", "store.part_work")
    assert {f"pipeline.{name}" for name in rooms} <= reached
    assert not [name for name in reached if name.startswith(("pipeline.report", "pipeline.evaluation"))]


def test_a_path_that_moves_is_no_other_code():
    modules = source_files(ROOT)
    assert "pipeline.config.layout" in imported_modules(modules["stages.detect"], modules)
    assert "pipeline.config.layout" not in reachable_modules({"stages.detect"}, modules)


SOURCE = '''"""What it is."""

import numpy  # arrays


def double(x):
    """Twice as much."""
    text = """a

    # b"""
    return 2 * x, f"{x}#", text
'''


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ('"""What it is."""\n', "", True),
        ("Twice as much.", "Two times as much,\n\n    # or x + x.", True),
        ("  # arrays", "", True),
        ("\n\n\ndef", "\n# A function.\ndef", True),
        ("2 * x", "3 * x", False),
        ("# b", "# c", False),
        ("a\n\n", "a\n", False),
        ('#"', '#."', False),
        ("import numpy", "import  numpy", False),
    ],
)
def test_a_digest_of_statements_is_blind_to_comments_docstrings_and_blank_lines(tmp_path, old, new, same):
    assert SOURCE.count(old) == 1
    before, after = tmp_path / "before.py", tmp_path / "after.py"
    before.write_text(SOURCE)
    after.write_text(SOURCE.replace(old, new))
    assert (statements_digest(before) == statements_digest(after)) == same
