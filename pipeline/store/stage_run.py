"""One run of a stage: its lock, params, checked inputs, and its manifest, written last, which marks it as done."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from pipeline.config.layout import Layout
from pipeline.config.params import Params, load_params
from pipeline.config.run import Run
from pipeline.config.sections import section_name
from pipeline.store.inputs import StageInputs
from pipeline.store.lock import hold_lock
from pipeline.store.manifests import write_stage_manifest

Section = TypeVar("Section")


class StageRun:
    """A context that holds the lock of the run, so that only one process works on the same outputs.

    Args:
        stage: its name, as manifests have it.
        layout: paths of the dataset.
        of: run or split of this run of the stage; None where the stage runs once for a dataset.
        arguments: options of the command line beside the dataset, for the manifest; by default those of `of`.

    Attributes:
        inputs: what the stage has read so far.
        sections: params that it has read so far, by section name.

    Raises:
        ResourceError: on entering, another process is at work on the same outputs.
    """

    def __init__(
        self, stage: str, layout: Layout, of: Run | str | None = None, arguments: Mapping[str, str] | None = None
    ) -> None:
        self.stage, self.layout, self.of = stage, layout, of
        self.arguments = {"dataset": layout.dataset, **(_arguments(stage, of) if arguments is None else arguments)}
        self.inputs = StageInputs(layout)
        self.sections: dict[str, Any] = {}
        self._held = ExitStack()

    def __enter__(self) -> StageRun:
        if os.environ.get("RANK", "0") == "0":  # the first rank of torchrun writes, and holds the lock for all
            chosen = [
                value for name, value in self.arguments.items() if name in ("dataset", "variant", "split", "seed")
            ]
            work = " ".join((self.stage.replace("_", "-"), *chosen))
            self._held.enter_context(hold_lock(self.layout.lock(self.stage, self.of), work))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held.close()

    @cached_property
    def all_params(self) -> Params:
        """Sections of the dataset with the overrides of the run's variant; reading them here does not record them."""
        return load_params(self.layout.params, self.layout.dataset, self.of if isinstance(self.of, Run) else None)

    def params(self, kind: type[Section]) -> Section:
        """Return a section of params.yaml and record it for the manifest.

        Raises:
            ParamError: as `load_params`.
        """
        section = self.all_params[kind]
        self.sections[section_name(kind)] = section
        return section

    def take(self, path: Path, stage: str, of: Run | str | None = None) -> Path:
        """Check an artifact of another stage; arguments and errors as `StageInputs.take`."""
        return self.inputs.take(path, stage, of)

    def note(self, *paths: Path) -> None:
        """Note inputs that no stage made, such as pretrained weights."""
        for path in paths:
            self.inputs.note(path)

    @property
    def work(self) -> Path:
        """Folder of finished work, removed when the run is done."""
        return self.layout.work(self.stage, self.of)

    def finish(self, outputs: Iterable[Path], counts: Mapping[str, Any], *, seed: int = 0) -> None:
        """Write the manifest: the run is done."""
        write_stage_manifest(
            self.layout.stage_manifest(self.stage, self.of),
            root=self.layout.root,
            stage=self.stage,
            arguments=self.arguments,
            inputs=self.inputs.digests,
            params=self.sections,
            outputs=outputs,
            counts=counts,
            seed=seed,
        )
        shutil.rmtree(self.work, ignore_errors=True)


def _arguments(stage: str, of: Run | str | None) -> dict[str, str]:
    if not isinstance(of, Run):
        return {} if of is None else {"split": of}
    split = {} if stage == "train" else {"split": of.split}
    boxes = {"boxes": "annotated"} if of.annotated_boxes else {}
    return {"variant": of.text, **split} | ({} if of.seed is None else {"seed": str(of.seed)}) | boxes
