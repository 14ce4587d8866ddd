"""What a stage reads: every artifact is compared with the manifest of the stage that made it, before it is opened.

Its own inputs must be unchanged too, through all stages before it (chain.py). An artifact without a manifest (from a
colleague) is accepted as it is; its reader checks its form.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from pipeline.config.layout import Layout
from pipeline.config.params import is_rerun_file
from pipeline.config.run import Run
from pipeline.core.errors import ArtifactError
from pipeline.store.chain import Chain, RecordedRun
from pipeline.store.files import refuse_links, sha256_of
from pipeline.store.manifests import command_of, read_stage_manifest, relative

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class StageInputs:
    """The inputs of one run of a stage; `digests` holds the sha256 of each, for its own manifest."""

    layout: Layout
    digests: dict[Path, str] = field(default_factory=dict)
    _found: dict[Path, str] = field(default_factory=dict, init=False)

    @cached_property
    def chain(self) -> Chain:
        """The runs that the inputs taken so far come from."""
        return Chain(self.layout, self._digest)

    @property
    def named(self) -> dict[str, str]:
        """The digests by path relative to the root: the same wherever the repository lies."""
        return {relative(path, self.layout.root): digest for path, digest in self.digests.items()}

    def take(self, path: Path, stage: str, of: Run | str | None = None, *, alone: bool = False) -> Path:
        """Check an artifact against the manifest of the run of `stage` that made it, and return its path.

        A missing path passes: its reader says what makes it. Links inside a folder pass if a manifest holds the digest
        of their content, if they lead into a DVC cache (`cache.type symlink`), or if `rerun` made them.

        Args:
            of: as in `Layout.stage_manifest`.
            alone: do not check what the artifact was made from, as for a model that is used on new images.

        Raises:
            ArtifactError: the artifact differs from its manifest, or its own inputs have changed; the manifest is
                damaged; a link inside a folder that has no manifest.
        """
        if not path.exists():
            return path
        found = self.digests[self.note(path)]
        if is_rerun_file(self.layout.params):  # `rerun` has compared it with the manifest
            return path
        record = self.layout.stage_manifest(stage, of)
        if not record.exists():
            refuse_links(path)
            return path
        run = RecordedRun(record, read_stage_manifest(record, remedy=f'run "dvc repro {stage}"'))
        name = relative(path, self.layout.root)
        expected = run.manifest.outputs.get(name)
        if expected != found:
            said = f"records sha256 {expected[:12]}, found {found[:12]}" if expected else "does not name it"
            raise ArtifactError(
                f'{path}: {record} {said}: damaged, or of another run; run "{command_of(run.manifest)}"'
            )
        if not alone:
            self.chain.check(name, run)
        return path

    def note(self, path: Path) -> Path:
        """Note an input that no stage made, such as pretrained weights, and return its path."""
        self.digests[path] = self._digest(path)
        return path

    def _digest(self, path: Path) -> str:
        """Digest of a file or folder, which is read once."""
        if path not in self._found:
            self._found[path] = sha256_of(path)
            _LOG.info("%s: read, sha256 %s", relative(path, self.layout.root), self._found[path][:12])
        return self._found[path]
