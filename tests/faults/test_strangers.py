"""Files from strangers run no code: what could is named nowhere in the code but where it is fenced in."""

from __future__ import annotations

import ast
import json
import struct
from pathlib import Path

import pytest
import zarr

from pipeline.config.layout import Layout
from pipeline.config.params import load_run_variants
from pipeline.config.run import Run
from pipeline.core.errors import ArtifactError, ParamError
from pipeline.store.checkpoint import load_checkpoint
from pipeline.store.inputs import StageInputs
from pipeline.store.work_folder import load_tensors
from tests.import_graph import modules

# Call: the modules that may make it. Each of these reads with an unpickler of its own, or only writes.
FENCED = {
    "pickle.Unpickler": set(),
    "pickle.load": set(),
    "pickle.loads": set(),
    "pickle.dump": {"pipeline.evaluation.exchange_vcoco"},
    "pickle.dumps": {"pipeline.evaluation.exchange_vcoco"},
    "torch.jit.load": set(),
    "torch.hub.load": set(),
    "torch.save": set(),
    "yaml.load": set(),
    "yaml.unsafe_load": set(),
    "yaml.full_load": set(),
    "marshal.loads": set(),
    "marshal.load": set(),
    "shelve.open": set(),
    "joblib.load": set(),
    "eval": set(),
    "exec": set(),
}
UNPICKLERS = {"pipeline.store.restricted_pickle", "pipeline.store.torchscript_file"}


def dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def calls(tree: ast.AST) -> list[tuple[str, ast.Call]]:
    return [(dotted(node.func), node) for node in ast.walk(tree) if isinstance(node, ast.Call)]


def violations(module: str, text: str) -> list[str]:
    """What in a module could run code that a file brings."""
    tree, found = ast.parse(text), []
    for name, call in calls(tree):
        keywords = {keyword.arg: getattr(keyword.value, "value", None) for keyword in call.keywords}
        if name in FENCED and module not in FENCED[name]:
            found.append(name)
        if name == "torch.load" and keywords.get("weights_only") is not True:
            found.append("torch.load without weights_only=True")
        if name in ("np.load", "numpy.load") and keywords.get("allow_pickle") is not False:
            found.append("np.load without allow_pickle=False")
        if name.split(".")[-1] == "YAML" and keywords.get("typ") != "safe":
            found.append("ruamel.yaml.YAML without typ='safe'")
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module in ("pickle", "marshal", "shelve", "dill", "cloudpickle"):
            found.append(f"from {node.module} import")  # names that the search above would not see
        if isinstance(node, ast.Import) and any(
            alias.name in ("dill", "cloudpickle", "shelve") for alias in node.names
        ):
            found.append("import of a pickler")
        if isinstance(node, ast.ClassDef) and "pickle.Unpickler" in map(dotted, node.bases):
            own = {item.name for item in node.body if isinstance(item, ast.FunctionDef)}
            if module not in UNPICKLERS or "find_class" not in own:
                found.append("pickle.Unpickler")
    return found


def test_nothing_runs_code_of_a_file():
    found = {module: violations(module, path.read_text(encoding="utf-8")) for module, path in modules().items()}
    assert {module: names for module, names in found.items() if names} == {}


def test_params_are_read_by_a_safe_loader(tmp_path):
    (tmp_path / "params.yaml").write_text("datasets: !!python/object/apply:os.mkdir [" + str(tmp_path / "made") + "]")
    with pytest.raises(ParamError):
        load_run_variants(tmp_path / "params.yaml")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    "text",
    [
        "import torch\ntorch.load('x')",
        "import torch\ntorch.load('x', weights_only=False)",
        "import torch\ntorch.jit.load('x')",
        "import numpy as np\nnp.load('x', allow_pickle=True)",
        "import pickle\npickle.load(stream)",
        "from pickle import loads",
        "import pickle\nclass A(pickle.Unpickler):\n    pass",
        "import yaml\nyaml.load(text, yaml.Loader)",
        "from ruamel.yaml import YAML\nYAML(typ='unsafe')",
        "eval(text)",
    ],
)
def test_the_search_finds_what_it_looks_for(text):
    assert len(violations("pipeline.x", text)) == 1


def test_links_inside_a_folder_of_unknown_origin_are_refused(tmp_path):
    layout = Layout(tmp_path, "toyworld")
    store = layout.predictions(Run("ours"))
    group = zarr.open_group(store, mode="w", zarr_format=3)
    group.create_array("boxes", shape=(4,), dtype="float32")[...] = 1
    assert StageInputs(layout).take(store, "infer", Run("ours")) == store
    shard = store / "boxes" / "c" / "0"
    shard.rename(tmp_path / "elsewhere")
    shard.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ArtifactError, match=r"boxes/c/0: a link that leads elsewhere"):
        StageInputs(layout).take(store, "infer", Run("ours"))


@pytest.mark.parametrize(
    "header",
    [
        struct.pack("<Q", 1 << 60),
        struct.pack("<Q", 2) + b"{}" * 10,
        struct.pack("<Q", 100_000_001) + b" " * 100,
        *(
            struct.pack("<Q", len(text)) + text
            for text in (
                json.dumps({"a": {"dtype": "F32", "shape": [1 << 40, 1 << 40], "data_offsets": [0, 4]}}).encode(),
                json.dumps({"a": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 1 << 42]}}).encode(),
                b"[" * 50_000,
            )
        ),
    ],
    ids=["length", "surplus", "too long", "overflow", "beyond the file", "nested"],
)
def test_safetensors_headers_that_lie_are_refused(tmp_path, header):
    (tmp_path / "config.json").write_text("{}")
    Path(tmp_path / "model.safetensors").write_bytes(header)
    with pytest.raises(ArtifactError, match=r"model.safetensors: cannot be read"):
        load_checkpoint(tmp_path)
    assert load_tensors(tmp_path / "model.safetensors") is None
