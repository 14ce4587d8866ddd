"""The training log: losses of every iteration, as CSV that DVC plots; grows on disk and survives a resume."""

from __future__ import annotations

from pathlib import Path

from pipeline.store.files import write_text

_HEADER = "iteration,epoch,loss,global,pair,relatedness"


class TrainingLog:
    """Rows of a run in order; `flush` writes them whole."""

    def __init__(self, path: Path, rows: list[str]) -> None:
        self._path = path
        self.rows = rows

    @classmethod
    def resume(cls, path: Path, start: int) -> TrainingLog:
        """Return the log of a run that goes on at iteration `start`."""
        rows = path.read_text().splitlines()[1 : start + 1] if start and path.exists() else []
        return cls(path, rows)

    def append(self, iteration: int, epoch: float, losses: dict[str, float]) -> None:
        """Add one iteration."""
        values = ",".join(f"{losses[name]:.6g}" for name in _HEADER.split(",")[2:])
        self.rows.append(f"{iteration},{epoch:.4f},{values}")

    def text(self) -> str:
        """Return the CSV."""
        return "\n".join([_HEADER, *self.rows]) + "\n"

    def flush(self) -> None:
        """Write the rows so far beside the resume point."""
        write_text(self._path, self.text())
