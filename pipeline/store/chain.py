"""The chain of runs behind an artifact: each recorded the digests of its inputs, which must still be the same.

Manifests are compared with manifests. Only files that no run made, such as weights, are digested; missing ones are
skipped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipeline.config.layout import Layout
from pipeline.core.errors import ArtifactError
from pipeline.core.types import StageManifest
from pipeline.store.manifests import command_of, read_stage_manifest


@dataclass(frozen=True)
class RecordedRun:
    """One run of a stage: what it recorded, and in which file."""

    record: Path
    manifest: StageManifest


def makers(layout: Layout) -> dict[str, RecordedRun]:
    """The run that made each output of a dataset, by the output's name in manifests.

    A manifest that is missing or damaged is left out: the stage that reads its outputs reports it.
    """
    found: dict[str, RecordedRun] = {}
    for record in sorted(layout.stage_manifests.rglob("*.json")):
        try:
            run = RecordedRun(record, read_stage_manifest(record))
        except ArtifactError:
            continue
        found.update(dict.fromkeys(run.manifest.outputs, run))
    return found


class Chain:
    """The chains of a stage's inputs; each run is checked once.

    `runs` holds those that passed, a run after those that made its inputs.
    """

    def __init__(self, layout: Layout, digest: Callable[[Path], str]) -> None:
        self.runs: list[RecordedRun] = []
        self._root, self._digest = layout.root, digest
        self._makers = makers(layout)
        self._seen: set[Path] = set()

    def check(self, name: str, run: RecordedRun) -> None:
        """Check what the run that made `name` was made from, and everything before it.

        Raises:
            ArtifactError: one of them was made from another file than the present one; names what to run again first.
        """
        if run.record in self._seen:
            return
        self._seen.add(run.record)
        for source in filter(self._makers.__contains__, run.manifest.inputs):
            self.check(source, self._makers[source])
        for source, recorded in run.manifest.inputs.items():
            found = self._of_now(source)
            if found not in (recorded, None):
                raise ArtifactError(
                    f"{self._root / name}: made from {source} of sha256 {recorded[:12]} ({run.record}), now it is "
                    f'{found[:12]}; run "{command_of(run.manifest)}"'
                )
        self.runs.append(run)

    def _of_now(self, source: str) -> str | None:
        """Present digest of an input, by the run that made it or by the file; None if it is missing."""
        if source in self._makers:
            return self._makers[source].manifest.outputs[source]
        path = self._root / source
        return self._digest(path) if path.is_file() or path.is_dir() else None
