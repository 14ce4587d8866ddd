"""Torchvision detectors that users trained: the forms in which scripts save weights, and names of their categories.

A categories file is JSON: {"categories": ["__background__", "person", ...]}, the name of each label, label 0 first.
Names that the vocabulary lacks, such as the background, are left out of proposals. Weights of other categories than the
published ones have such a file beside them: `detector.categories.json` for `detector.pt`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from pipeline.core.errors import DataError, WeightsError
from pipeline.core.types import shortened
from pipeline.store.json_file import load_json

_FORM = '{"categories": ["__background__", "person", ...]}'  # of a categories file
_NESTED = ("model", "state_dict", "model_state_dict")  # keys of the weights in what training scripts save
_WRAPPER = "module."  # before each name, where several GPUs trained


def weights_of(checkpoint: Any) -> Any:
    """Return the state dict that a checkpoint is or holds, or the checkpoint itself where it holds none."""
    nested = [checkpoint[key] for key in _NESTED if isinstance(checkpoint, Mapping) and key in checkpoint]
    state = nested[0] if len(nested) == 1 else checkpoint
    if not isinstance(state, Mapping):
        return state
    return {name.removeprefix(_WRAPPER) if isinstance(name, str) else name: value for name, value in state.items()}


def check_num_categories(
    built: Mapping[str, Tensor], found: Mapping[str, Tensor], num_categories: int, path: Path
) -> None:
    """Refuse weights of another number of categories than the network was built for.

    Args:
        built: state dict of the network.
        found: state dict of the file `path`.
        num_categories: of the network, the background among them.

    Raises:
        WeightsError: names both numbers, and where the categories are to be named.
    """
    number = _num_categories(built, found, num_categories)
    if number == num_categories:
        return
    beside = categories_beside(path)
    ours = f"{beside} names {num_categories}" if beside.exists() else f"the published weights have {num_categories}"
    raise WeightsError(
        f"detect.weights: {path} has {number} categories, the background among them, and {ours}; "
        f"name its {number} in {beside}: {_FORM}"
    )


def _num_categories(built: Mapping[str, Tensor], found: Mapping[str, Tensor], num_categories: int) -> int:
    """The number that all layers of another size agree on; `num_categories` where they differ in anything else."""
    numbers = {num_categories} if built.keys() != found.keys() else set()
    for name, ours in ((name, built[name].shape) for name in built.keys() & found.keys()):
        theirs = found[name].shape
        if ours == theirs:
            continue
        rows_each = ours[0] // num_categories if ours and ours[0] % num_categories == 0 else 0
        fits = rows_each and theirs and ours[1:] == theirs[1:] and theirs[0] % rows_each == 0
        numbers.add(int(theirs[0] // rows_each) if fits else num_categories)
    return numbers.pop() if len(numbers) == 1 else num_categories


def categories_beside(weights: Path) -> Path:
    """Where the names of a weights file's categories lie, if anywhere."""
    return weights.with_suffix(".categories.json")


def read_categories(path: Path) -> tuple[str, ...]:
    """Return the name of each label, label 0 first.

    Raises:
        DataError: unreadable, or of another form.
    """
    data = load_json(path)
    names = data.get("categories") if isinstance(data, dict) else None
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
        raise DataError(f"{path}: categories are {shortened(names)}; expected {_FORM}, one name for each label from 0")
    repeated = [name for name in set(names) if names.count(name) > 1 and name != "N/A"]
    if repeated:
        raise DataError(f'{path}: "{sorted(repeated)[0]}" is the name of two labels; expected each once')
    return tuple(names)
