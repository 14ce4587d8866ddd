"""`rerun`: run a stage again from its manifest alone, in a scratch folder, and compare the bytes."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import click

from pipeline.core.errors import ArtifactError
from pipeline.store.files import sha256_of
from pipeline.store.manifests import library_versions, read_stage_manifest
from stages._command import root_option, stage_command
from stages._scratch import build_scratch, stage_arguments


@stage_command("rerun", help="Run a stage again from its manifest and compare output digests.")
@click.argument("manifest", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--scratch",
    type=click.Path(file_okay=False, path_type=Path),
    default=None,
    help="Keep the run here, in a new or an empty folder.",
)
@root_option
def command(manifest: Path, scratch: Path | None, root: Path) -> None:
    """Link the manifest's inputs into a scratch root, write its params there, run the stage, compare."""
    recorded = read_stage_manifest(manifest)
    with tempfile.TemporaryDirectory() as temporary:
        folder = (scratch or Path(temporary)).absolute()
        build_scratch(recorded, root.absolute(), folder)
        call = [sys.executable, "-m", f"stages.{recorded.stage}", *stage_arguments(recorded), "--root", str(folder)]
        done = subprocess.run(call, capture_output=True, text=True, check=False)
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise ArtifactError(f"{manifest}: the stage failed when run again ({last})")
        changed = []
        for name, expected in recorded.outputs.items():
            found = sha256_of(folder / name) if (folder / name).exists() else "not made"
            if found == expected:
                click.echo(f"same     {name} {found[:12]}")
            else:
                click.echo(f"DIFFERS  {name} {found[:12]}, recorded {expected[:12]}")
                changed.append(name)
    if changed:
        versions = {name: (old, library_versions().get(name)) for name, old in recorded.versions.items()}
        moved = ", ".join(f"{name} {old} -> {new}" for name, (old, new) in versions.items() if old != new)
        raise ArtifactError(f"{manifest}: {len(changed)} outputs differ; library versions: {moved or 'unchanged'}")
    click.echo(f"{manifest}: all {len(recorded.outputs)} outputs are byte-identical")


if __name__ == "__main__":
    command()
