"""`verify`: every artifact against the manifests that say what it should be."""

from __future__ import annotations

from pathlib import Path

import click

from stages._command import root_option, stage_command


@stage_command("verify", help="Check all artifacts on disk against their manifests.")
@click.argument("manifests", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--images", is_flag=True, help="Also digest every image of the split manifests.")
@root_option
def command(manifests: tuple[Path, ...], images: bool, root: Path) -> None:
    """Compare digests; exit 2 and one line per difference where any is found."""
    from pipeline.core.errors import ArtifactError
    from pipeline.core.layout import Layout
    from pipeline.data.split import read_split
    from pipeline.store.files import sha256_of
    from pipeline.store.manifests import differences, read_stage_manifest
    from pipeline.store.vocabulary_file import read_vocabulary

    chosen = manifests or tuple(sorted((root / "manifests").glob("*/runs/**/*.json")))
    if not chosen:
        raise ArtifactError(f'{root / "manifests"}: holds no stage manifest; run "dvc repro"')
    lines: list[str] = []
    for path in chosen:
        manifest = read_stage_manifest(path)
        lines += differences(manifest, root)
        if images and manifest.stage == "prepare":
            layout = Layout(root, manifest.arguments["dataset"])
            for name in manifest.counts:
                split = read_split(layout.split(name), read_vocabulary(layout.vocabulary))
                for index, record in enumerate(split.images):
                    file = split.image_path(index, root)
                    if not file.exists() or sha256_of(file) != record.sha256:
                        lines.append(f"{file}: image is missing or has changed since prepare")
    for line in sorted(set(lines)):
        click.echo(line)
    if lines:
        raise ArtifactError(f"{len(set(lines))} differences in {len(chosen)} manifests; run dvc repro to rebuild")
    click.echo(f"{len(chosen)} manifests: every input and output is as recorded")


if __name__ == "__main__":
    command()
