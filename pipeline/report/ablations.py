"""The table of ablations as the page shows it, from `results/<dataset>/ablations.csv` where that exists.

Columns of the file, in percent; an empty cell is a number that nobody has:
  variant                                       the row's name in params.yaml
  desc                                          what the row means
  seeds                                         number of runs
  full_mean, full_std                           mAP over all classes, mean and standard deviation over seeds
  rare_mean, rare_std, non_rare_mean, non_rare_std   likewise
  paper_full, paper_rare, paper_non_rare        the paper's figure for that row, on HICO-DET
Any other column is passed over. Rows keep the file's order.
"""

from __future__ import annotations

from html import escape
from pathlib import Path

import numpy as np

from pipeline.report.results import numbers, read_columns
from pipeline.report.table import MISSING, format_percent

_GROUPS = {"full": "Full", "rare": "Rare", "non_rare": "Non-rare"}
_NUMBERS = [f"{group}_{kind}" for group in _GROUPS for kind in ("mean", "std")] + [
    f"paper_{group}" for group in _GROUPS
]


def ablations_html(path: Path, remedy: str) -> str:
    """Return the table, every name escaped.

    Raises:
        ArtifactError: not such a file; names the missing columns.
    """
    columns = read_columns(path, ("variant", "desc", "seeds", *_NUMBERS), remedy)
    values = {name: numbers(path, columns[name], remedy) for name in _NUMBERS}
    names = ["variant", "seeds", *_GROUPS.values(), *(f"paper: {name}" for name in _GROUPS.values())]
    header = "".join(f'<th scope="col">{name}</th>' for name in names)
    body = []
    for row, (variant, desc, seeds) in enumerate(
        zip(columns["variant"], columns["desc"], columns["seeds"], strict=True)
    ):
        ours = [_spread(values[f"{group}_mean"][row], values[f"{group}_std"][row]) for group in _GROUPS]
        paper = [_number(values[f"paper_{group}"][row]) for group in _GROUPS]
        cells = "".join(f"<td>{cell}</td>" for cell in (escape(seeds), *ours, *paper))
        body.append(f'<tr><th scope="row">{escape(variant)}<small>{escape(desc)}</small></th>{cells}</tr>')
    return f"<table><thead><tr>{header}</tr></thead><tbody>{''.join(body)}</tbody></table>"


def _number(value: float) -> str:
    return MISSING if np.isnan(value) else format_percent(float(value))


def _spread(mean: float, deviation: float) -> str:
    return _number(mean) if np.isnan(deviation) or np.isnan(mean) else f"{_number(mean)} ± {_number(deviation)}"
