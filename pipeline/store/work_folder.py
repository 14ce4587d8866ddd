"""Where a stage keeps finished work until it is done: a folder for each key, so that work of two kinds never mixes.

The key names all that shapes the work: inputs, params, code, libraries, and of a training run its ranks and kind of
device. The stage removes the whole when done.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path


def work_folder(folder: Path, key: str) -> Path:
    """Folder of the work of one key inside a stage's `Layout.work`."""
    return folder / key[:16]


def tell_of_other_work(folder: Path, key: str, tell: Callable[[str], None]) -> None:
    """Tell in one line of work that a run of another key left, and that this one does not go on with."""
    own = work_folder(folder, key)
    for other in sorted(path for path in folder.glob("*") if path.is_dir() and path != own):
        if count := len(list(other.glob("*.safetensors"))):
            tell(
                f"{other}: {count} {'file' if count == 1 else 'files'} of a run that was stopped, with other inputs, "
                "params, code, libraries, ranks or kind of device than now; set aside, and removed when this run ends"
            )
