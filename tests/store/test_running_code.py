from __future__ import annotations

import pytest

import pipeline.store.running_code
from pipeline.store.running_code import code_digest
from tests.conftest import ROOT

FILES = {
    "stages/__init__.py": "",
    "stages/run.py": "def command():\n    from pipeline.room import work\n",
    "stages/report.py": "import pipeline.room.drawing\n",
    "pipeline/__init__.py": "",
    "pipeline/room/__init__.py": "",
    "pipeline/room/work.py": "import numpy\nfrom pipeline.room.deep import name\n",
    "pipeline/room/deep.py": "name = 1\n",
    "pipeline/room/drawing.py": "",
}


@pytest.fixture
def root(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def digest(root, module="stages.run") -> str:
    """As in a new process."""
    code_digest.cache_clear()
    return code_digest(module, root=root)


@pytest.mark.parametrize("name", FILES)
def test_it_is_of_the_files_that_the_module_reaches(root, name):
    before = digest(root)
    assert digest(root) == before
    (root / name).write_text(FILES[name] + "# more\n")
    reached = name in ("stages/run.py", "pipeline/room/work.py", "pipeline/room/deep.py")
    assert (digest(root) != before) == reached


def test_it_is_of_the_library_versions(root, monkeypatch):
    before = digest(root)
    versions = pipeline.store.running_code.library_versions() | {"torch": "0.0.1"}
    monkeypatch.setattr(pipeline.store.running_code, "library_versions", lambda: versions)
    assert digest(root) != before


def test_it_is_the_same_wherever_the_code_lies(root, tmp_path_factory):
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


def test_an_installation_without_source_files_has_one(tmp_path):
    assert digest(tmp_path) == digest(tmp_path, "stages.other")


def test_a_process_keeps_the_digest_of_the_code_that_it_began_with(root):
    before = digest(root)
    (root / "stages/run.py").write_text("")
    assert code_digest("stages.run", root=root) == before


def test_infer_does_not_depend_on_what_only_draws():
    from pipeline.store.source_files import reachable_modules, source_files

    reached = reachable_modules({"pipeline.inference.recipes", "pipeline.store.engine"}, source_files(ROOT))
    assert {
        "pipeline.inference.pair_outputs",
        "pipeline.methods.bilevel.network",
        "pipeline.store.part_work",
    } <= reached
    assert not [name for name in reached if name.startswith(("pipeline.report", "pipeline.evaluation"))]
