"""The training log: losses of every iteration, as CSV that DVC plots; grows on disk and survives a resume."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pipeline.store.files import write_text


class TrainingLog:
    """Rows of a run in order, a column per loss term; `flush` writes them whole."""

    def __init__(self, path: Path, terms: tuple[str, ...], rows: list[str]) -> None:
        self._path, self._terms = path, terms
        self.rows = rows

    @classmethod
    def read(cls, path: Path, terms: tuple[str, ...]) -> TrainingLog:
        """Return the log that a run of these loss terms has kept so far; an empty one where there is none."""
        text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
        return cls(path, terms, text.splitlines()[1:])

    def digest(self, iteration: int) -> str:
        """Return the sha256 of the rows before `iteration`, by which a resume point knows them."""
        return hashlib.sha256("\n".join(self.rows[:iteration]).encode()).hexdigest()

    def go_back(self, iteration: int) -> None:
        """Drop what came at `iteration` and after: the run goes on there."""
        del self.rows[iteration:]

    def append(self, iteration: int, epoch: float, losses: dict[str, float]) -> None:
        """Add one iteration."""
        values = ",".join(f"{losses[name]:.6g}" for name in ("loss", *self._terms))
        self.rows.append(f"{iteration},{epoch:.4f},{values}")

    def text(self) -> str:
        """Return the CSV."""
        header = ",".join(("iteration", "epoch", "loss", *self._terms))
        return "\n".join([header, *self.rows]) + "\n"

    def flush(self) -> None:
        """Write the rows so far beside the resume point."""
        write_text(self._path, self.text())
