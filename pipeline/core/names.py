"""Names of datasets, splits and variants. They become parts of paths and of shell commands."""

from __future__ import annotations

import re
from typing import Literal, get_args

from pipeline.core.errors import ParamError

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
MAX_SEED = 2**32 - 1  # of scikit-learn; numpy's and torch's are larger

_NAME = re.compile(r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9_.-]*")
_OVERRIDE = re.compile(r"[a-z_]+(\.[a-z0-9_]+)+=[A-Za-z0-9_.,\[\]-]*")
_MAX_LENGTH = 200  # a file's name has 255 at most, and holds more than this


def name_fault(name: object) -> str | None:
    """Return what a name of a dataset or variant is expected to be, None where it is that."""
    if isinstance(name, str) and _NAME.fullmatch(name) and len(name) <= _MAX_LENGTH:
        return None
    return f'a name of letters, digits, "_", "-" and single "." ({_MAX_LENGTH} at most; it becomes part of paths)'


def check_dataset(name: str) -> None:
    """Refuse what is no name of a dataset.

    Raises:
        ParamError: it is a path, for example.
    """
    if fault := name_fault(name):
        raise ParamError(f"dataset {name!r}: expected {fault}")


def check_variant(variant: str) -> None:
    """Refuse what is neither a variant's name nor one with overrides: "ours+train.learning_rate=0.001".

    Raises:
        ParamError: a part of it is something else.
    """
    name, *overrides = variant.split("+")
    if fault := name_fault(name):
        raise ParamError(f"variant {name!r}: expected {fault}")
    for override in overrides:
        if not _OVERRIDE.fullmatch(override) or len(variant) > _MAX_LENGTH:
            raise ParamError(
                f'override "+{override}": expected +section.key=value of letters, digits and any of "_-.,[]" '
                f"({_MAX_LENGTH} with the variant's name); for another value, add a row under variants in params.yaml"
            )
