import inspect
import json
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from pipeline.core.errors import ArtifactError, DataError, ParamError, UserError, WeightsError
from pipeline.core.names import SPLITS
from stages._command import progress, split_names, stage_command
from stages.cli import main
from tests.conftest import ROOT


def run(function, *arguments):
    return CliRunner().invoke(stage_command("x", help="Do x.")(function), arguments)


@pytest.mark.parametrize("kind", [UserError, ParamError, DataError, ArtifactError, WeightsError])
def test_a_users_mistake_is_one_line_and_exit_code_2(kind):
    def stage():
        raise kind("a.png: image is broken;\n   replace it")

    result = run(stage)
    assert result.exit_code == 2
    assert result.stderr == "Error: a.png: image is broken; replace it\n"
    assert result.stdout == ""


def test_a_file_that_may_not_be_read_is_one_line():
    """Root may read everything, so the system's answer is given here."""

    def stage():
        raise PermissionError(13, "Permission denied", "cache/toyworld/proposals/train.h5")

    result = run(stage)
    advice = "cannot be opened (Permission denied); check the path and its permissions"
    assert (result.exit_code, result.stderr) == (2, f"Error: cache/toyworld/proposals/train.h5: {advice}\n")


def test_control_characters_of_names_do_not_reach_the_terminal():
    def stage():
        raise DataError("\x1b]0;title\x07 \x9b2J caf\udce9.png: image is broken")

    assert run(stage).stderr == "Error: \\x1b]0;title\\x07 \\x9b2J caf\ufffd.png: image is broken\n"


def test_a_bug_keeps_its_traceback():
    def stage():
        return 1 / 0

    result = run(stage)
    assert isinstance(result.exception, ZeroDivisionError)
    assert result.exit_code == 1


def test_traceback_of_a_bug_and_none_of_a_mistake_in_a_real_process():
    code = """
import sys
from pipeline.core.errors import DataError
from stages._command import stage_command
kind = sys.argv.pop()
@stage_command("x")
def command():
    raise (DataError if kind == "mistake" else IndexError)("what happened")
command()
"""
    results = {
        kind: subprocess.run([sys.executable, "-c", code, kind], cwd=ROOT, capture_output=True, text=True, check=False)
        for kind in ("mistake", "bug")
    }
    assert (results["mistake"].returncode, results["mistake"].stderr) == (2, "Error: what happened\n")
    assert results["bug"].returncode == 1
    assert results["bug"].stderr.startswith("Traceback")
    assert results["bug"].stderr.endswith("IndexError: what happened\n")


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["evaluate", "--dataset", "toywrld"], 'no dataset "toywrld", did you mean "toyworld"?'),
        (["evaluate", "--dataset", "toyworld", "--variant", "our"], 'no variant "our", did you mean "ours"?'),
        (["infer", "--dataset", "toyworld", "--variant", "ours+train.x=1"], 'override "+train.x=1": unknown key'),
        (["prepare", "--dataset", "../toyworld"], "dataset '../toyworld': expected a name of letters"),
        (["train", "--dataset", "toyworld", "--variant", "a/b"], "variant 'a/b': expected a name of letters"),
        (["train", "--dataset", "toyworld", "--seed", "-1"], "'--seed': -1 is not in the range"),
        (["score", "--dataset", "toyworld", "--variant", "our", "--seed", "1"], 'no variant "our", did'),
        (["tsne", "--dataset", "toyworld", "--variant", "our"], 'no variant "our", did you mean "ours"?'),
        (["sweep", "--dataset", "toyworld", "--variant", "our", "--seed", "1"], 'no variant "our", did'),
        (["detect", "--dataset", "toyworld", "--splt", "train"], "'--splt'. Did you mean '--split'?"),
    ],
)
def test_mistakes_on_the_command_line(arguments, part):
    result = CliRunner().invoke(main, [*arguments, "--root", str(ROOT)])
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    assert part in result.stderr


def test_memory_that_runs_out_gets_the_advice_of_its_stage():
    def stage():
        raise MemoryError("of 5 GiB")

    infer = CliRunner().invoke(stage_command("infer")(stage), [])
    assert infer.stderr == (
        "Error: memory ran out (of 5 GiB); lower infer.batch_size, or infer.max_proposals where one image is too much\n"
    )
    assert "lower train.batch_size" in CliRunner().invoke(stage_command("train")(stage), []).stderr
    assert "a machine with more memory" in CliRunner().invoke(stage_command("report")(stage), []).stderr


COMMANDS = {name: main.get_command(click.Context(main), name) for name in main.list_commands(click.Context(main))}


def option(command, name):
    return next((item for item in command.params if item.name == name), None)


OF_IMAGES = [name for name, command in COMMANDS.items() if option(command, "split") and name != "evaluate-detections"]


@pytest.mark.parametrize("name", OF_IMAGES)  # that of evaluate-detections is of classes
def test_a_split_that_is_none_gets_the_choices(name):
    result = CliRunner().invoke(main, [name, "--split", "tets"])
    assert result.exit_code == 2
    choices = ("val", "test") if name in ("evaluate", "annotated-proposals", "proposal-recall") else SPLITS
    assert result.stderr == f"Error: Invalid value for '--split': 'tets' is not one of {str(choices)[1:-1]}.\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_paths_reach_the_commands_as_paths(name):
    texts = {("predict", "json_path")}  # "-" is no path
    for item in COMMANDS[name].params:
        if isinstance(item.type, click.Path) and (name, item.name) not in texts:
            assert item.type.type is Path
            assert "Path" in inspect.signature(COMMANDS[name].callback).parameters[item.name].annotation


def test_unknown_commands_get_a_suggestion():
    result = CliRunner().invoke(main, ["evalute"])
    assert result.exit_code == 2
    assert 'Error: no command "evalute", did you mean "evaluate"?' in result.stderr


def test_help_lists_the_commands_without_opening_heavy_libraries():
    code = """
import json, sys
from stages.cli import main
try:
    main(["--help"])
finally:
    print(json.dumps(sorted(name for name in sys.modules if "." not in name)), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in ("prepare", "detect", "encode-prompts", "train", "infer", "evaluate", "report", "verify", "rerun"):
        assert f"\n  {name} " in done.stdout
    loaded = json.loads(done.stderr)
    assert "stages" in loaded
    assert not {"torch", "torchvision", "numpy", "zarr", "h5py", "PIL", "clip", "pydantic", "ruamel"} & set(loaded)


def test_every_command_has_help():
    for name in main.list_commands(click.Context(main)):
        result = CliRunner().invoke(main, [name, "--help"])
        assert result.exit_code == 0, name
        assert len(result.output) > 60


def test_progress_is_silent_where_there_is_no_terminal(capsys):
    with progress(3, "work") as advance:
        advance()
        advance(2, loss=0.5)
    captured = capsys.readouterr()
    assert captured.out == captured.err == ""


@pytest.mark.parametrize(
    ("texts", "names"),
    [
        ((), ()),
        (("ours",), ("ours",)),
        (("baseline,ours", "exp1"), ("baseline", "ours", "exp1")),
        (("ours+train.decay_at=[0.5,0.7],exp1",), ("ours+train.decay_at=[0.5,0.7]", "exp1")),
        (("ours+train.decay_at=[0.5,0.7]+train.epochs=3",), ("ours+train.decay_at=[0.5,0.7]+train.epochs=3",)),
    ],
)
def test_several_names_are_told_apart_by_commas_outside_of_brackets(texts, names):
    assert split_names(texts) == names
