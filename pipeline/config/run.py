"""Names of runs: which row of params.yaml, with which overrides, seed and split. No other file parses such names."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from pipeline.core.errors import ParamError
from pipeline.core.names import MAX_NAME_LENGTH, name_fault

_OVERRIDE = re.compile(r"[a-z_]+(\.[a-z0-9_]+)+=[A-Za-z0-9_.,\[\]-]*")
ANNOTATED_BOXES = "annotated_boxes"  # folder of what was predicted on them


@dataclass(frozen=True)
class Run:
    """One run of a variant.

    Attributes:
        variant: a row of params.yaml: variants.
        overrides: further changes, "train.learning_rate=0.001".
        seed: of a study; None for that of params.yaml.
        split: that is predicted and scored; training does not look at it.
        annotated_boxes: predict on annotated boxes in place of detected ones; training does not look at them.

    Raises:
        ParamError: a name or an override of another form; names become parts of paths.
    """

    variant: str
    overrides: tuple[str, ...] = ()
    seed: int | None = field(default=None, kw_only=True)
    split: str = field(default="test", kw_only=True)
    annotated_boxes: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        if fault := name_fault(self.variant):
            raise ParamError(f"variant {self.variant!r}: expected {fault}")
        for override in self.overrides:
            if not _OVERRIDE.fullmatch(override) or len(self.text) > MAX_NAME_LENGTH:
                raise ParamError(
                    f'override "+{override}": expected +section.key=value of letters, digits and any of "_-.,[]" '
                    f"({MAX_NAME_LENGTH} with the variant's name); for another value, add a row under variants in "
                    "params.yaml"
                )

    @classmethod
    def parse(cls, text: str, *, seed: int | None = None, split: str = "test", annotated_boxes: bool = False) -> Run:
        """Return the run of a variant as the command line names it: "ours", "ours+train.learning_rate=0.001"."""
        variant, *overrides = text.split("+")
        return cls(variant, tuple(overrides), seed=seed, split=split, annotated_boxes=annotated_boxes)

    @property
    def text(self) -> str:
        """The variant with its overrides, as `parse` takes it."""
        return "+".join((self.variant, *self.overrides))

    @property
    def folder(self) -> str:
        """Sub-folder of its artifacts, so that studies never mix with the pipeline's own runs; empty for these."""
        return "seeds" if self.seed is not None else "tuning" if self.overrides else ""

    @property
    def name(self) -> str:
        """Name of the trained model: "ours", "seeds/ours-1", "tuning/ours+train.learning_rate=0.001"."""
        name = self.text if self.seed is None else f"{self.text}-{self.seed}"
        return f"{self.folder}/{name}" if self.folder else name

    @property
    def scored_name(self) -> str:
        """Name of its predictions and metrics: the same on test; other splits and annotated boxes have own folders."""
        name = self.name.rpartition("/")[2]
        if self.annotated_boxes:
            return f"{ANNOTATED_BOXES}/{name}-{self.split}"
        return self.name if self.split == "test" else f"{self.folder or self.split}/{name}-{self.split}"

    @property
    def source_name(self) -> str:
        """What files say that they hold: the name of the trained model, and that it saw annotated boxes."""
        return f"{self.name} on annotated boxes" if self.annotated_boxes else self.name

    @property
    def options(self) -> str:
        """The run as options of a command, for messages."""
        seed = "" if self.seed is None else f" --seed {self.seed}"
        split = "" if self.split == "test" else f" --split {self.split}"
        boxes = " --boxes annotated" if self.annotated_boxes else ""
        return f"--variant {self.text}{seed}{split}{boxes}"

    def of(self, variant: str) -> Run:
        """The run of another variant with the same seed, split and boxes."""
        return Run.parse(variant, seed=self.seed, split=self.split, annotated_boxes=self.annotated_boxes)

    def on(self, split: str) -> Run:
        """The same run on another split."""
        return replace(self, split=split)


def checkpoint_owner(root: Path, folder: Path) -> tuple[str, Run] | None:
    """Return (dataset, run) of a checkpoint folder in the cache of `root`, None elsewhere.

    The inverse of `Layout.checkpoint`.
    """
    cache, path = (root / "cache").resolve(), folder.resolve()
    parts = path.relative_to(cache).parts if path.is_relative_to(cache) else ()
    if len(parts) < 3 or parts[-2] != "checkpoints":
        return None
    variant, _, seed = parts[-1].rpartition("-") if "seeds" in parts[1:-2] else (parts[-1], "", "")
    try:
        return parts[0], Run.parse(variant, seed=int(seed) if seed.isdecimal() else None)
    except ParamError:
        return None
