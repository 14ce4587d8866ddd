"""Every command, option, stage, target and parameter that a text of the code names exists."""

import ast
import dataclasses
import re

import click
import pytest
import yaml

from pipeline import backbones, methods
from pipeline.config.params import ExecutionParams
from pipeline.config.sections import SECTIONS as SECTIONS_OF_DATASETS
from pipeline.config.sections import section_class
from pipeline.core.plugins import names_of
from stages.cli import main
from tests.conftest import ROOT
from tests.import_graph import modules

CONTEXT = click.Context(main)
COMMANDS = {name: main.get_command(CONTEXT, name) for name in main.list_commands(CONTEXT)}
OPTIONS = {name: {text for item in command.params for text in item.opts} for name, command in COMMANDS.items()}
STAGES = set(yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"])
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
SECTIONS = {**{name: section_class(name) for name in SECTIONS_OF_DATASETS}, "execution": ExecutionParams}
PARAMS = {f"{name}.{item.name}" for name, kind in SECTIONS.items() for item in dataclasses.fields(kind)}
PARAMS |= {f"model.{name}" for room in (methods, backbones) for name in names_of(room)}
OTHERS = {"--nproc-per-node", "--standalone", "--format", "--name-only", "--no-build-isolation"}  # torchrun, git, pip
OTHERS |= {"--help"}  # click's own
NO_PARAMS = {"model.safetensors", "model.encode_text"}


def texts(tree: ast.AST) -> list[str]:
    """All strings; what an f-string fills in is a "?"."""
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    plain = [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts
    ]
    filled = [
        "".join(str(part.value) if isinstance(part, ast.Constant) else "?" for part in node.values)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
    ]
    return plain + filled


def unknown(text: str) -> list[str]:
    """What a text names and nothing is called."""
    found = [f"{option}" for option in re.findall(r"(?<![\w-])--[a-z][a-z-]*[a-z]", text)]
    wrong = [option for option in found if option not in OTHERS.union(*OPTIONS.values())]
    for name, rest in re.findall(r"[\"'`(]weakhoi ([a-z_-]+)([^\"'`;]*)", text):
        options = re.findall(r"--[a-z-]+", rest)
        wrong += [f"weakhoi {name} {' '.join(options)}"] * (not {*options} <= OPTIONS.get(name, set()) | OTHERS)
        wrong += [f"weakhoi {name}"] * (name not in COMMANDS)
    wrong += [
        f"dvc repro {name}" for name in re.findall(r"dvc repro ([a-z_]+)", text) if name not in {*STAGES, "to", "or"}
    ]
    wrong += [f"make {name}" for name in re.findall(r"[\"`]make ([a-z-]+)", text) if name not in TARGETS]
    names = re.findall(rf"(?<![\w./])((?:{'|'.join(SECTIONS)})\.[a-z_]+)(?![\w./(])", text)
    return wrong + [name for name in names if name not in PARAMS | NO_PARAMS]


@pytest.mark.parametrize("module", modules())
def test_what_texts_name_exists(module):
    tree = ast.parse(modules()[module].read_text())
    assert [(text, name) for text in texts(tree) for name in unknown(text)] == []


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("run from the repository root or give --params", "--params"),
        ('run "weakhoi encode_prompts"', "weakhoi encode_"),
        ('run "weakhoi train --dataset ? --split x"', "weakhoi train --dataset --split"),
        ('run "dvc repro trian"', "dvc repro trian"),
        ("run `make tset`", "make tset"),
        ("lower infer.num_workers", "infer.num_workers"),
    ],
)
def test_the_search_finds_what_it_looks_for(text, name):
    assert any(found.startswith(name) for found in unknown(text))
    assert not unknown('run "weakhoi train --dataset x --seed 1", `dvc repro train`, lower train.batch_size (--split)')
