"""What a stage reads: every artifact is compared with the manifest of the stage that made it, before it is opened.

An artifact that no manifest describes (a colleague's, handed over alone) is taken as it is; its reader checks its form.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pipeline.core.errors import ArtifactError
from pipeline.core.layout import Layout
from pipeline.store.files import refuse_links, sha256_of
from pipeline.store.manifests import read_stage_manifest, relative


@dataclass(frozen=True)
class StageInputs:
    """The inputs of one run of a stage; `digests` holds the sha256 of each, for its own manifest."""

    layout: Layout
    digests: dict[Path, str] = field(default_factory=dict)

    def take(self, path: Path, stage: str, *names: str) -> Path:
        """Check an artifact against the manifest of the run of `stage` that `names` tell apart, and return its path.

        A path where nothing is passes: its reader says what makes it. Links inside a folder pass where a manifest
        vouches for what they lead to, and into a DVC cache, as DVC makes them with `cache.type symlink`.

        Raises:
            ArtifactError: the artifact is not what its manifest says, or the manifest is damaged; a link inside a
            folder that has no manifest.
        """
        if not path.exists():
            return path
        found = self.digests[self.note(path)]
        recorded = self.layout.stage_manifest(stage, *names)
        if not recorded.exists():
            refuse_links(path)
            return path
        manifest = read_stage_manifest(recorded, remedy=f'run "dvc repro {stage}"')
        expected = manifest.outputs.get(relative(path, self.layout.root))
        if expected != found:
            said = f"records sha256 {expected[:12]}, found {found[:12]}" if expected else "does not name it"
            options = " ".join(f"--{name} {value}" for name, value in manifest.arguments.items())
            raise ArtifactError(
                f'{path}: {recorded} {said}: damaged, or of another run; run "weakhoi '
                f'{manifest.stage.replace("_", "-")} {options}"'
            )
        return path

    def note(self, path: Path) -> Path:
        """Note an input that no stage made, such as pretrained weights, and return its path."""
        if path not in self.digests:
            self.digests[path] = sha256_of(path)
        return path
