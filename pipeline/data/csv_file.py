"""Rows of a user's CSV by column, each with its line as editors count it; one line says what is wrong with a file."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.core.errors import DataError, did_you_mean, resource_error


def read_rows(
    path: Path, required: Sequence[str], optional: Sequence[str] | None = ()
) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield line number and cells by column of every row that is not blank.

    Args:
        required: columns that must be there; the others may be.
        optional: columns that may be there; None: any.

    Raises:
        DataError: not to be read, not UTF-8, not CSV, or of other columns; names file and line.
    """
    return _rows(path, _text(path, ",".join(required)), required, optional)


def _text(path: Path, columns: str) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise resource_error(error) or DataError(
            f"{path}: cannot be read ({error.strerror}); expected a CSV with the columns {columns}"
        ) from None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise DataError(
            f"{path} line {line}: byte 0x{data[error.start]:02x} is not UTF-8; save the file as UTF-8"
        ) from None


def _rows(
    path: Path, text: str, required: Sequence[str], optional: Sequence[str] | None
) -> Iterator[tuple[int, dict[str, str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip().lower() for name in next(reader, [])]
        _check_header(path, header, required, optional)
        for row in reader:
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            if len(cells) != len(header):
                raise DataError(
                    f"{path} line {reader.line_num}: {len(cells)} cells, expected {len(header)} ({','.join(header)}); "
                    'put text that holds a comma into "quotes"'
                )
            yield reader.line_num, dict(zip(header, cells, strict=True))
    except csv.Error as error:
        raise DataError(f"{path} line {reader.line_num}: not CSV ({error}); check its quotes") from None


def _check_header(path: Path, header: list[str], required: Sequence[str], optional: Sequence[str] | None) -> None:
    further = "others" if optional is None else ",".join(optional)
    also = f", and {further} if you like" if further else ""
    expected = f"line 1 must be {','.join(required)}{also}, separated by commas"
    missing = [name for name in required if name not in header]
    if missing:
        raise DataError(f'{path} line 1: no column "{missing[0]}" in "{",".join(header)}"; {expected}')
    known = (*required, *(optional or ()))
    for name in header:
        if optional is not None and name not in known:
            raise DataError(f'{path} line 1: unknown column "{name}"{did_you_mean(name, known)}; {expected}')
        if header.count(name) > 1:
            raise DataError(f'{path} line 1: column "{name}" occurs twice; {expected}')
