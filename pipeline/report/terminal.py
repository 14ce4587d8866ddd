"""A Markdown page as plain text for a terminal: prose is wrapped, and tables that are too wide are folded."""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from itertools import groupby, zip_longest

_GAP = "  "
_NARROWEST = 19  # characters to which a column of text is wrapped, so that a table fits


def fitted(page: str, width: int) -> str:
    """Return a Markdown page in lines of at most `width` characters, if words and numbers are not longer.

    Tables lose their rules. Where one does not fit, its columns of text are wrapped; where that is not enough, it is
    cut into blocks, each of which begins with the first column, and columns of text come last.
    """
    parts: list[str] = []
    for is_table, lines in groupby(page.splitlines(), key=lambda line: line.startswith("|")):
        if is_table:
            parts += _table(list(lines), width)
        else:
            parts += [wrapped for line in lines for wrapped in textwrap.wrap(line, width) or [""]]
    return "\n".join(parts) + "\n"


@dataclass(frozen=True)
class _Column:
    cells: tuple[str, ...]  # the header's first
    is_number: bool

    @property
    def width(self) -> int:
        return max(map(len, self.cells))

    def lines(self, widest: int) -> list[list[str]]:
        """Cells as lines of equal width; numbers stay whole and stand on the right."""
        wrapped = [self._wrapped(cell, widest) for cell in self.cells]
        width = max(len(line) for cell in wrapped for line in cell)
        return [[line.rjust(width) if self.is_number else line.ljust(width) for line in cell] for cell in wrapped]

    def _wrapped(self, cell: str, widest: int) -> list[str]:
        return [cell] if self.is_number else textwrap.wrap(cell, widest, break_long_words=False) or [""]


def _table(lines: list[str], width: int) -> list[str]:
    header, rule, *rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    cells = zip(header, *rows, strict=True)
    columns = [
        _Column(tuple(cell.replace("\\|", "|") for cell in column), mark.endswith(":"))
        for column, mark in zip(cells, rule, strict=True)
    ]
    for widest in range(max(_NARROWEST, *(column.width for column in columns)), _NARROWEST - 1, -1):
        block = _block(columns, widest)
        if max(map(len, block)) <= width:
            return block
    return _folded(columns, width)


def _folded(columns: list[_Column], width: int) -> list[str]:
    """Blocks of the first column and as many others as fit, with an empty line between; text has blocks of its own."""
    first, lines = columns[0], []
    waiting = sorted(columns[1:], key=lambda column: not column.is_number)
    while waiting:
        widest = max(width // 2, width - len(_GAP) - first.width)
        count = next(
            count
            for count in range(len(waiting), 0, -1)
            if count == 1 or max(map(len, _block([first, *waiting[:count]], widest))) <= width
        )
        lines += ["", *_block([first, *waiting[:count]], widest)]
        waiting = waiting[count:]
    return lines[1:]


def _block(columns: list[_Column], widest: int) -> list[str]:
    """Lines of a table; a cell of fewer lines than its row is filled up."""
    lines = []
    for row in zip(*(column.lines(widest) for column in columns), strict=True):
        for parts in zip_longest(*row):
            filled = (part if part is not None else " " * len(cell[0]) for part, cell in zip(parts, row, strict=True))
            lines.append(_GAP.join(filled).rstrip())
    return lines
