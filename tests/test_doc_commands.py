"""The commands of README, docs/, CONTRIBUTING and benchmarks/ are run as they are written.

A block under `<!-- not run: REASON -->`, and what stands in a sentence, is checked as far as its options and names.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import re
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
import yaml
from dvc.cli import parse_args

from stages.cli import command_named
from tests.clones import copy_small_toyworld, run_in, stages_run
from tests.conftest import ROOT

FILES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("benchmarks/*.md")]
TEXTS = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in sorted(FILES)}
FENCED = re.compile(r"^(?:<!-- not run: ([^\n]+) -->\n)?```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LANGUAGES = {"bash", "python", "yaml", "json", "csv", "mermaid", "text"}
# Programs of others, and what only sets a shell up.
OTHERS = {"cd", "eval", "export", "fish", "git", "grep", "mkdir", "pip", "sed", "source", "srun", "tensorboard", "uv"}
RUN = (
    "weakhoi ",
    "dvc ",
    "git add ",
    "eval ",
    "_WEAKHOI_COMPLETE=",
    "python -m stages.",
)  # where nothing speaks against


@dataclass(frozen=True)
class Block:
    text: str
    language: str
    content: str
    reason: str  # why it isn't run; empty: it is


BLOCKS = [
    Block(text, language, content, reason)
    for text in TEXTS
    for reason, language, content in FENCED.findall(TEXTS[text])
]
RUN_AS_WRITTEN = ("README.md", "docs/predict.md", "docs/running.md", "docs/protocols.md")
EXPERIMENTS = "docs/experiments.md"


def blocks_to_run() -> list[Block]:
    return [block for block in BLOCKS if block.language == "bash" and not block.reason]


def commands_of(line: str) -> list[list[str]]:
    """The words of each command of a line, without comments."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="&|;<>")
    lexer.whitespace_split = True
    words = [word for word in lexer if word not in ("|", ">", "<")]
    return [list(group) for end, group in itertools.groupby(words, lambda word: word in ("&&", ";")) if not end]


def check(words: list[str]) -> None:
    """Check options and names of one command.

    Raises:
        AssertionError, click.UsageError, DvcParserError: it can't be called so.
    """
    while "=" in words[0] and words[0].partition("=")[0].isidentifier():  # of the environment
        words = words[1:]
    if words[0] in ("torchrun", "srun"):
        words = ["python", *words[words.index("-m") :]]
    match words:
        case ["weakhoi", name, *rest] if not name.startswith("-"):
            check_options(command_named(name), rest)
        case ["python", "-m", module, *rest]:
            assert importlib.util.find_spec(module), module
            if module.startswith("stages."):
                check_options(command_named(module.removeprefix("stages.")), rest)
        case ["dvc", *rest]:
            check_dvc(rest)
        case ["make", *targets]:
            for target in targets:
                assert "=" in target or re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE), target
        case [program, *_]:
            assert program in OTHERS | {"weakhoi", ".ci/run"}, program


def check_options(command: click.Command, words: list[str]) -> None:
    with click.Context(command) as context:
        values, _, _ = command.make_parser(context).parse_args(list(words))
        for param in command.params:
            if isinstance(param.type, click.Choice) and isinstance(value := values.get(str(param.name)), str):
                param.type_cast_value(context, value)


def check_dvc(words: list[str]) -> None:
    call = parse_args(words)
    project = ROOT / (call.cd or "")
    for target in getattr(call, "targets", None) or []:
        path, _, name = target.rpartition(":")
        if "/" in target and not path:
            continue  # a file
        stages = yaml.safe_load((project / (path or "dvc.yaml")).read_text(encoding="utf-8"))["stages"]
        assert name.partition("@")[0] in stages, target


def test_every_block_says_what_it_is():
    """So that no command escapes."""
    assert {block.language for block in BLOCKS} <= LANGUAGES
    assert sum(text.count("\n```") for text in TEXTS.values()) == 2 * len(BLOCKS)
    assert {"README.md", "docs/experiments.md"} <= {block.text for block in BLOCKS if block.language == "bash"}


@pytest.mark.parametrize("text", TEXTS)
def test_options_and_names_of_every_command(text):
    lines = [
        line
        for block in BLOCKS
        if (block.text, block.language) == (text, "bash")
        for line in block.content.splitlines()
    ]
    spans = [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", FENCED.sub("", TEXTS[text]))]
    lines += [span for span in spans if re.match(r"(weakhoi|dvc|make|python -m (stages|benchmarks)\.) ?[a-z]", span)]
    for words in itertools.chain.from_iterable(map(commands_of, lines)):
        try:
            check(words)
        except Exception as error:
            raise AssertionError(f"{text}: {shlex.join(words)}: {type(error).__name__} {error}") from error


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Path:
    """A repository with a small toyworld that `dvc repro` has run, committed."""
    folder = tmp_path_factory.mktemp("clone")
    copy_small_toyworld(folder, "baseline", "ours", num_test=4)
    run_in(folder, "git", "config", "user.email", "a@example.org")
    run_in(folder, "git", "config", "user.name", "a")
    assert "train@toyworld-ours" in stages_run(run_in(folder, "dvc", "repro"))
    commit(folder)
    return folder


def commit(clone: Path) -> None:
    run_in(clone, "git", "add", "-A")
    run_in(clone, "git", "commit", "-qm", "all that ran")


def run_blocks(clone: Path, text: str, elsewhere: Path) -> None:
    """Run the blocks of a text, without what sets a clone up: `make`, and programs of others.

    Python runs elsewhere, with the model that comes along: that of the clone has seen 12 images.
    """
    (elsewhere / "examples").symlink_to(ROOT / "examples")
    for block in (block for block in BLOCKS if block.text == text and not block.reason):
        if block.language == "python":
            run_in(elsewhere, sys.executable, "-c", block.content)
        elif block.language == "bash":
            run_lines(clone, runnable(block))


def runnable(block: Block) -> list[str]:
    return [line for line in block.content.splitlines() if line.startswith(RUN)]


def run_lines(clone: Path, lines: list[str]) -> None:
    run_in(clone, "bash", "-e", "-c", "\n".join(lines))


@pytest.mark.slow
@pytest.mark.parametrize("text", RUN_AS_WRITTEN)
def test_commands_as_they_are_written(clone, text, tmp_path):
    run_blocks(clone, text, tmp_path)


@pytest.mark.slow
def test_each_experiment_differs_from_the_commit_by_its_own_change(clone):
    commit(clone)
    lines = [line for block in blocks_to_run() if block.text == EXPERIMENTS for line in runnable(block)]
    (apply,) = (number for number, line in enumerate(lines) if line.startswith("dvc exp apply"))
    run_lines(clone, lines[:apply])
    assert run_in(clone, "git", "status", "--porcelain", "params.yaml").stdout == ""
    run_lines(clone, lines[apply:])
    changed = {
        "gamma15": {"toyworld.evaluate.weights.detector": 1.5},
        "gamma05": {"toyworld.evaluate.weights.detector": 0.5},
        "lr2": {"toyworld.train.learning_rate": 0.002},
    }
    for name, expected in changed.items():
        assert params_changed(clone, name) == expected
    mine = params_changed(clone, "mine")
    assert {key for key in mine if not key.startswith("variants.mine")} == {"run_variants"}
    assert "learning_rate: 0.002" in (clone / "params.yaml").read_text()  # applied


def params_changed(clone: Path, name: str) -> dict[str, object]:
    """Parameters of an experiment that are not those of the commit, with their values."""
    diff = json.loads(run_in(clone, "dvc", "params", "diff", "HEAD", name, "--json").stdout)
    return {key: value["new"] for key, value in diff["params.yaml"].items()}


def test_no_text_with_blocks_to_run_is_left_out():
    """Each is in a test above, or its blocks are marked."""
    assert {block.text for block in blocks_to_run() if runnable(block)} == {*RUN_AS_WRITTEN, EXPERIMENTS}


def test_the_plan_of_hicodet_says_what_readme_says():
    """The sentence has the plan's numbers."""
    plan = run_in(ROOT, sys.executable, "-m", "stages.plan", "--dataset", "hicodet").stdout
    peaks = {
        name: float(value) for name, value in re.findall(r"^\| (step, [\w ,]+?) +\|.* ([\d.]+) \|$", plan, re.MULTILINE)
    }
    disk = sum(
        float(value)
        for value in re.findall(
            r"^\| [a-z, ]+ +\| +([\d.]+) \|$", plan.split("| disk")[1].split("Schedule")[0], re.MULTILINE
        )
    )
    sentence = " ".join(TEXTS["README.md"].split("`weakhoi plan` says: ")[1].split("V-COCO")[0].split())
    assert f"{peaks['step, micro_batch 1']:.1f} GB of GPU memory" in sentence
    assert f"{peaks['step, whole share']:.0f} GB for" in sentence
    assert f"{disk:.1f} GB of disk" in sentence
    assert "66.6 images/s to train in 24 hours" in sentence
    assert re.search(r"\| +24 \| +66.6 \|", plan)
