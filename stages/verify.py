"""`verify`: every artifact against the manifests that say what it should be."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stages._command import root_option, stage_command

if TYPE_CHECKING:
    from pipeline.core.layout import Layout
    from pipeline.core.types import StageManifest
    from pipeline.store.chain import Run


@stage_command("verify", help="Check all artifacts on disk against their manifests, and these against params.yaml.")
@click.argument("manifests", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--images", is_flag=True, help="Also digest every image of the split manifests.")
@root_option
def command(manifests: tuple[Path, ...], images: bool, root: Path) -> None:
    """Compare digests and params; exit 2 and one line per difference, with what mends it, where any is found."""
    from pipeline.core.errors import ArtifactError
    from pipeline.core.layout import Layout
    from pipeline.store.chain import Run, makers
    from pipeline.store.manifests import read_stage_manifest

    chosen = manifests or tuple(sorted((root / "manifests").glob("*/runs/**/*.json")))
    if not chosen:
        raise ArtifactError(f'{root / "manifests"}: holds no stage manifest; run "dvc repro"')
    runs = [Run(path, read_stage_manifest(path)) for path in chosen]
    layouts = {name: Layout(root, name) for name in {run.manifest.arguments.get("dataset", "") for run in runs}}
    made_by = {output: run for layout in layouts.values() for output, run in makers(layout).items()}
    lines = sorted({line for run in runs for line in _faults(run, root, made_by, images)})
    for line in lines:
        click.echo(line)
    if lines:
        raise ArtifactError(
            f"{len(lines)} differences in {len(chosen)} manifests; "
            "run the commands that the lines name, those of earlier stages first"
        )
    click.echo(f"{len(chosen)} manifests: every input and output is as recorded, made with the params of now")


def _faults(run: Run, root: Path, made_by: Mapping[str, Run], images: bool) -> Iterator[str]:
    """Every difference of one run; `made_by` gives the run of each artifact."""
    from pipeline.core.layout import Layout
    from pipeline.store.manifests import differences
    from pipeline.store.run_params import other_params

    layout = Layout(root, run.manifest.arguments.get("dataset", ""))
    yield from differences(run.manifest, root, lambda name: made_by[name].manifest if name in made_by else None)
    if layout.params.is_file() and (line := other_params(run, layout.params)):
        yield line
    if images and run.manifest.stage == "prepare":
        yield from _changed_images(layout, run.manifest)


def _changed_images(layout: Layout, manifest: StageManifest) -> Iterator[str]:
    from pipeline.data.split import read_split
    from pipeline.store.files import sha256_of
    from pipeline.store.manifests import command_of
    from pipeline.store.vocabulary_file import read_vocabulary

    for name in manifest.counts:
        split = read_split(layout.split(name), read_vocabulary(layout.vocabulary))
        for index, record in enumerate(split.images):
            file = split.image_path(index, layout.root)
            if not file.exists() or sha256_of(file) != record.sha256:
                yield f'{file}: image is missing or has changed since prepare; run "{command_of(manifest)}"'


if __name__ == "__main__":
    command()
