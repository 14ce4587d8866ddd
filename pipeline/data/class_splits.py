"""Class splits for zero-shot detection: which HOI classes have no labels in training (rf_uc, nf_uc, uo, uv, ...).

One JSON file a vocabulary in the folder `unseen`: the number of its HOI classes, and by split its title, source, and
unseen classes as "verb object". A file of your own is named with its path: "my_splits.json:mine".
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import DataError, ParamError, did_you_mean
from pipeline.core.vocabulary import Vocabulary
from pipeline.store.json_file import load_json

_SHIPPED = Path(__file__).parent / "unseen"


@dataclass(frozen=True)
class ClassSplit:
    """HOI classes that have no labels in training.

    Attributes:
        name: e.g. "rf_uc".
        unseen: bool [H].
        path: the file that defines it.
    """

    name: str
    unseen: NDArray[np.bool_]
    path: Path

    @property
    def groups(self) -> dict[str, NDArray[np.bool_]]:
        """The classes as groups to average over."""
        return {"unseen": self.unseen, "seen": ~self.unseen}


@dataclass(frozen=True)
class _SplitsFile:
    path: Path
    vocabulary: str
    num_classes: int
    unseen: dict[str, frozenset[str]]


def class_split_names() -> list[str]:
    """Names of the splits of that folder, in the order of its files."""
    return list(dict.fromkeys(name for path in sorted(_SHIPPED.glob("*.json")) for name in _read(path).unseen))


def class_split(name: str, vocabulary: Vocabulary) -> ClassSplit:
    """Return a class split of a vocabulary.

    Args:
        name: of a split of that folder, or "FILE.json:NAME".

    Raises:
        ParamError: no such split, or it is of another vocabulary.
        DataError: the file is missing or damaged.
    """
    own, _, split = name.rpartition(":")
    files = [_read(path) for path in ([Path(own)] if own else sorted(_SHIPPED.glob("*.json")))]
    if not (having := [file for file in files if split in file.unseen]):
        known = sorted({name for file in files for name in file.unseen})
        raise ParamError(f'no class split "{split}"{did_you_mean(split, known)}; there are {", ".join(known)}')
    names = [_plain(hoi) for hoi in vocabulary.hoi_names]
    for file in having:
        if file.num_classes == len(names) and file.unseen[split] <= set(names):
            return ClassSplit(split, np.array([hoi in file.unseen[split] for hoi in names]), file.path)
    of = " or ".join(f"the {file.num_classes} HOI classes of {file.vocabulary}" for file in having)
    raise ParamError(f'class split "{split}" is of {of}; this dataset has {len(names)} other ones')


def _read(path: Path) -> _SplitsFile:
    data = load_json(path)
    try:
        unseen = {name: frozenset(map(_plain, split["unseen"])) for name, split in data["splits"].items()}
        return _SplitsFile(path, str(data["vocabulary"]), int(data["classes"]), unseen)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError(
            f'{path}: not a file of class splits ({error!r}); expected {{"vocabulary": name, "classes": their number, '
            '"splits": {name: {"unseen": ["verb object", ...]}}}'
        ) from None


def _plain(hoi: str) -> str:
    """A class's name with spaces: datasets and people write "sit_on dining_table" and "sit on dining table"."""
    return hoi.replace("_", " ")
