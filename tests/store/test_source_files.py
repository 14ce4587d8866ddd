import pytest

from pipeline.store.source_files import imported_modules, reachable_modules, source_files
from tests.import_graph import ROOT

FILES = {
    "stages/__init__.py": "",
    "stages/run.py": "def command():\n    from pipeline.room import work\n    import numpy.linalg\n",
    "stages/other.py": "import pipeline.room.unused\n",
    "pipeline/__init__.py": "",
    "pipeline/room/__init__.py": "",
    "pipeline/room/work.py": "from __future__ import annotations\nfrom pipeline.room.deep import name, other\n",
    "pipeline/room/deep.py": "from pipeline.room import work\nname = other = 1\n",
    "pipeline/room/unused.py": "",
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
    (root / "stages/other.py").write_text("from pipeline.plugged.catalog import load\n")
    found = reachable_modules({"stages.other"}, source_files(root))
    assert {"pipeline.plugged.one", "pipeline.plugged.many.method", "pipeline.room.deep"} < found
    assert "pipeline.room.unused" not in found


@pytest.mark.parametrize(
    ("line", "told"), [("from . import x", "relative import"), ("from pipeline.room import x", "no module")]
)
def test_what_cannot_be_followed_is_refused(root, line, told):
    path = root / "stages/run.py"
    path.write_text(line + "\n")
    modules = {name: file for name, file in source_files(root).items() if not name.startswith("pipeline")}
    with pytest.raises(ValueError, match=told):
        imported_modules(path, modules)


def test_a_path_that_moves_is_no_other_code():
    modules = source_files(ROOT)
    assert "pipeline.config.layout" in imported_modules(modules["stages.detect"], modules)
    assert "pipeline.config.layout" not in reachable_modules({"stages.detect"}, modules)
