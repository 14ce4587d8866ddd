"""Names of datasets, splits and variants: they become parts of paths and of shell commands."""

from __future__ import annotations

import re
from typing import Literal, get_args

Split = Literal["train", "val", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
MAX_SEED = 2**32 - 1  # of scikit-learn; numpy's and torch's are larger

_NAME = re.compile(r"(?!.*\.\.)[A-Za-z0-9][A-Za-z0-9_.-]*")
MAX_NAME_LENGTH = 200  # a file's name has 255 at most, and holds more than this


def name_fault(name: object) -> str | None:
    """Return what a name of a dataset or variant is expected to be, None where it is that."""
    if isinstance(name, str) and _NAME.fullmatch(name) and len(name) <= MAX_NAME_LENGTH:
        return None
    return f'a name of letters, digits, "_", "-" and single "." ({MAX_NAME_LENGTH} at most; it becomes part of paths)'
