"""Parts of error messages, and what an error of the system means to a user.

What the machine lacks is never called damage of a file.
"""

import ast
import errno
import unicodedata

import pytest
import torch

from pipeline.core.errors import (
    NoMemoryError,
    ResourceError,
    closed_file_error,
    did_you_mean,
    printable,
    resource_error,
)
from tests.import_graph import modules

LACKS = [
    (MemoryError(), "memory ran out (MemoryError)"),
    (OSError(errno.ENOMEM, "Cannot allocate memory"), "memory ran out"),
    (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"), "memory ran out"),
    (torch.OutOfMemoryError("CUDA out of memory"), "memory ran out"),
    (RuntimeError("can't start new thread"), "no more threads or processes can be started"),
    (OSError(errno.EAGAIN, "Resource temporarily unavailable"), "no more threads or processes can be started"),
    (OSError(errno.EMFILE, "Too many open files"), "too many files are open"),
    (RuntimeError("I/O error: Too many open files (os error 24)"), "too many files are open"),
    (OSError(errno.EAGAIN, "unable to lock file, errno = 11"), "another program has the file open for writing"),
    (OSError(errno.ENOSPC, "No space left on device", "a.h5"), "a.h5: No space left on device"),
]


@pytest.mark.parametrize(("error", "part"), LACKS)
def test_what_the_machine_lacks(error, part):
    found = resource_error(error)
    assert isinstance(found, ResourceError) and part in str(found)
    assert isinstance(found, NoMemoryError) == part.startswith("memory")


@pytest.mark.parametrize(
    "error",
    [ValueError("x"), OSError(errno.EIO, "Input/output error"), OSError(errno.ENOENT, "none"), KeyError("boxes")],
)
def test_other_errors_say_nothing_about_the_machine(error):
    assert resource_error(error) is None


# Handlers that may take any of the machine's errors for something else, and why.
FENCED = {
    ("pipeline.core.device", "open_device"): "asks about a name",
    ("pipeline.data.bags", "_check_shared_memory"): "is about /dev/shm itself",
    ("pipeline.data.bags", "_shared"): "is about /dev/shm itself",
    ("pipeline.data.bags", "_until_a_worker_ends"): "is about memory itself",
    ("pipeline.data.image_files", "_fault"): "says what is wrong with an argument",
    ("pipeline.data.image_files", "_is_folder"): "asks whether a path is one",
    ("pipeline.data.image_files", "find_images"): "names the cause",
    ("pipeline.data.images", "_orientation"): "reads a tag of an image that is in memory",
    ("pipeline.evaluation.detections_file", "_is_npz"): "takes no file for ours that it cannot read",
    ("pipeline.evaluation.exchange_predictions", "_is_results"): "takes no file for ours that it cannot read",
    ("pipeline.evaluation.exchange_predictions", "_literal"): "Python's parser runs out of memory on deep nesting",
    ("pipeline.prediction.picture", "is_drawn"): "reads a mark, and takes no file for ours that has none",
    ("pipeline.store.file_content", "content_of"): "is asked after a failure",
    ("pipeline.store.files", "_mode"): "asks whether a target is a file",
    ("pipeline.store.json_file", "list_entries"): "reads the file again, as a whole, which names the cause",
    ("pipeline.store.manifests", "difference"): "names the cause",
    ("pipeline.store.stage_run", "is_finished"): "takes a run that it cannot read for unfinished",
    ("pipeline.store.targets", "check_target"): "names the cause",
    ("stages._recipe", "_training_set"): "takes no file for weights of ours that it cannot read",
    ("stages.verify", "command"): "names the cause, or passes the error on",
    ("pipeline.store.clip_checkpoint", "tokenize"): "counts words",
    ("pipeline.store.cluster", "_check_scheduler"): "asks another machine",
    ("pipeline.store.files", "atomic_path"): "writes, and names the cause",
    ("pipeline.store.lock", "_locked"): "does without a lock",
    ("pipeline.training.distributed", "join_ranks"): "passes the error on",
    ("pipeline.training.distributed", "first_to_fail"): "asks another process",
}
_ASKING = {"resource_error", "reason_and_remedy", "torch_fault"}  # the latter two ask it first
_BROAD = {"OSError", "RuntimeError", "MemoryError", "Exception", "BaseException"}


def blind_handlers(tree: ast.Module) -> set[str]:
    """Functions with a handler that may catch an error of the machine and does not ask `resource_error`."""
    groups = {
        node.targets[0].id: {name.id for name in ast.walk(node.value) if isinstance(name, ast.Name)}
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    found = set()
    for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
        for handler in (node for node in ast.walk(function) if isinstance(node, ast.ExceptHandler) and node.type):
            names = [node.id for node in ast.walk(handler.type) if isinstance(node, ast.Name)]
            caught = set().union(*({name} | groups.get(name, set()) for name in names))
            asks = any(getattr(node, "id", "") in _ASKING for node in ast.walk(handler))
            if caught & _BROAD and not asks:
                found.add(function.name)
    return found


def test_every_reader_asks_what_the_machine_lacks_before_it_says_damaged():
    found = {
        (module, name) for module, path in modules().items() for name in blind_handlers(ast.parse(path.read_text()))
    }
    assert found == set(FENCED)


def test_the_search_finds_what_it_looks_for():
    text = "BAD = (OSError,)\ndef f():\n    try:\n        x()\n    except BAD as error:\n        raise {}Damage"
    assert blind_handlers(ast.parse(text.format(""))) == {"f"}
    assert not blind_handlers(ast.parse(text.format("resource_error(error) or ")))


@pytest.mark.parametrize(
    ("found", "known", "expected"),
    [
        ("a.jpg", ["b.jpg", "a.JPG"], ', did you mean "a.JPG"?'),  # more letters differ than those of b.jpg do
        ("A.JPG", ["a.jpg", "A.PNG"], ', did you mean "a.jpg"?'),
        ("learning_rat", ["batch_size", "learning_rate"], ', did you mean "learning_rate"?'),
        ("x", ["y"], ""),
        ("x", [], ""),
    ],
)
def test_the_closest_name_is_suggested(found, known, expected):
    assert did_you_mean(found, known) == expected


@pytest.mark.parametrize(("form", "other"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_names_that_look_the_same_are_told_by_their_form(form, other):
    """As with files from a Mac: suggesting the name would show the same letters twice."""
    found, known = (unicodedata.normalize(name, "Grüße.jpg") for name in (other, form))
    suggestion = did_you_mean(found, ["Gruse.jpg", known])
    assert f"the same letters in Unicode form {form}? This is {other}," in suggestion


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Grüße 图 👩‍🚒.png", "Grüße 图 👩‍🚒.png"),
        ("a\nb\rc\td", "a\\nb\\rc\\td"),
        ("\x1b]0;title\x07\x1b[2J", "\\x1b]0;title\\x07\\x1b[2J"),
        ("\x9b2J\x7f\u2028", "\\x9b2J\\x7f\\u2028"),
        ("caf\udce9 \ud800", "caf\ufffd \ufffd"),
    ],
)
def test_a_terminal_is_shown_text_and_obeys_none(text, expected):
    assert printable(text) == expected


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG])
@pytest.mark.parametrize("name", ["cache/a.h5", b"cache/a.h5"])
def test_a_file_that_cannot_be_opened_is_the_users_to_mend(number, name):
    error = closed_file_error(OSError(number, "the reason", name))
    assert str(error) == "cache/a.h5: cannot be opened (the reason); check the path and its permissions"


@pytest.mark.parametrize(
    "error", [OSError(errno.EACCES, "of no file"), FileNotFoundError(errno.ENOENT, "gone", "x"), ValueError("x")]
)
def test_other_errors_stay_what_they_are(error):
    assert closed_file_error(error) is None
