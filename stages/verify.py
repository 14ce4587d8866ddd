"""`verify`: every artifact against the manifests that say what it should be."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from stages._command import root_option, stage_command

if TYPE_CHECKING:
    from pipeline.core.types import StageManifest


@stage_command("verify", help="Check all artifacts on disk against their manifests.")
@click.argument("manifests", nargs=-1, type=click.Path(path_type=Path))
@click.option("--images", is_flag=True, help="Also digest every image of the split manifests.")
@root_option
def command(manifests: tuple[Path, ...], images: bool, root: Path) -> None:
    """Compare digests; exit 2 and one line per difference where any is found."""
    from pipeline.core.errors import ArtifactError, UserError, closed_file_error, printable
    from pipeline.store.files import files_below
    from pipeline.store.manifests import differences, read_stage_manifest

    runs = (path for folder in (root / "manifests").glob("*/runs") for path in files_below(folder))
    chosen = manifests or tuple(sorted(path for path in runs if path.suffix == ".json"))
    if not chosen:
        raise ArtifactError(f'{root / "manifests"}: holds no stage manifest; run "dvc repro"')
    lines: list[str] = []
    for path in chosen:
        try:
            manifest = read_stage_manifest(path)
            lines += differences(manifest, root)
            if images and manifest.stage == "prepare":
                lines += _changed_images(manifest, root)
        except UserError as error:
            lines.append(str(error))
        except OSError as error:
            if (closed := closed_file_error(error)) is None:
                raise
            lines.append(str(closed))
    for line in sorted(set(lines)):
        click.echo(printable(line))
    if lines:
        raise ArtifactError(f"{len(set(lines))} differences in {len(chosen)} manifests; run dvc repro to rebuild")
    click.echo(f"{len(chosen)} manifests: every input and output is as recorded")


def _changed_images(manifest: StageManifest, root: Path) -> list[str]:
    """A line for each image that is not the one that `prepare` recorded."""
    from pipeline.core.layout import Layout
    from pipeline.data.split import read_split
    from pipeline.store.manifests import difference
    from pipeline.store.vocabulary_file import read_vocabulary

    layout, lines = Layout(root, manifest.arguments["dataset"]), []
    for name in manifest.counts:
        split = read_split(layout.split(name), read_vocabulary(layout.vocabulary))
        for index, record in enumerate(split.images):
            file = split.image_path(index, root)
            if fault := difference(file, record.sha256):
                lines.append(f"{file}: image of prepare {fault}")
    return lines


if __name__ == "__main__":
    command()
