"""Names of a detector's categories, as a small JSON file: {"categories": ["__background__", "person", ...]}.

The name at place n is that of label n; names that are in no vocabulary, such as the background, are left out of
proposals. Weights of one's own have such a file beside them: `detector.categories.json` for `detector.pt`.
"""

from __future__ import annotations

from pathlib import Path

from pipeline.core.errors import DataError
from pipeline.core.types import shortened
from pipeline.store.json_file import load_json

FORM = '{"categories": ["__background__", "person", ...]}'


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
        raise DataError(f"{path}: categories are {shortened(names)}; expected {FORM}, one name for each label from 0")
    repeated = [name for name in set(names) if names.count(name) > 1 and name != "N/A"]
    if repeated:
        raise DataError(f'{path}: "{sorted(repeated)[0]}" is the name of two labels; expected each once')
    return tuple(names)
