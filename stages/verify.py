"""`verify`: every artifact against the digests in the stage manifests, and these against params.yaml."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import click

from pipeline.config.layout import Layout
from pipeline.core.errors import ArtifactError, UserError, closed_file_error, printable
from pipeline.core.names import SPLITS
from pipeline.core.types import StageManifest
from pipeline.data.split import open_split
from pipeline.store.chain import RecordedRun, makers
from pipeline.store.files import files_below
from pipeline.store.manifests import command_of, difference, differences, read_stage_manifest
from pipeline.store.run_params import other_params
from pipeline.store.vocabulary_file import read_vocabulary
from stages._command import anywhere_root_option, stage_command
from stages._scratch import STAGES


@stage_command("verify", help="Check all artifacts on disk against their manifests, and these against params.yaml.")
@click.argument("manifests", nargs=-1, type=click.Path(path_type=Path))
@click.option("--images", is_flag=True, help="Also digest every image of the split manifests.")
@anywhere_root_option
def command(manifests: tuple[Path, ...], images: bool, root: Path) -> None:
    """Compare digests and params; print the differences under the command that mends them, then exit 2."""
    runs = (path for folder in (root / "manifests").glob("*/runs") for path in files_below(folder))
    chosen = manifests or tuple(sorted(path for path in runs if path.suffix == ".json"))
    if not chosen:
        raise ArtifactError(f'{root / "manifests"}: holds no stage manifest; run "dvc repro"')
    lines: set[str] = set()
    made_by: dict[str, RecordedRun] = {}  # the run of each artifact
    for dataset in {path.name for path in (root / "manifests").glob("*") if path.is_dir()}:
        made_by |= makers(Layout(root, dataset))
    for path in chosen:
        try:
            lines.update(_faults(RecordedRun(path, read_stage_manifest(path)), root, made_by, images))
        except UserError as error:
            lines.add(str(error))
        except OSError as error:
            if (closed := closed_file_error(error)) is None:
                raise
            lines.add(str(closed))
    for remedy, faults in _by_remedy(lines).items():
        click.echo("\n".join([remedy, *(f"  {fault}" for fault in faults)]))
    if lines:
        raise ArtifactError(
            f"{len(lines)} differences in {len(chosen)} manifests; do what stands above them, from top to bottom"
        )
    click.echo(f"{len(chosen)} manifests: every input and output is as recorded, made with the params of now")


def _by_remedy(lines: set[str]) -> dict[str, list[str]]:
    """Faults by what mends them, which a line ends with; commands in the order of stages, after what is no command."""
    pairs = [printable(line).rpartition("; ")[::2] for line in sorted(lines)]
    commands = [f'run "weakhoi {stage.replace("_", "-")} ' for stage in STAGES]
    place = {remedy: [remedy.startswith(command) for command in commands] for _, remedy in pairs}
    ordered = sorted(place, key=lambda remedy: place[remedy].index(True) if any(place[remedy]) else -1)
    return {remedy: [fault for fault, mends in pairs if mends == remedy] for remedy in ordered}


def _faults(run: RecordedRun, root: Path, made_by: Mapping[str, RecordedRun], images: bool) -> Iterator[str]:
    """Every difference of one run; `made_by` gives the run of each artifact."""
    layout = Layout(root, run.manifest.arguments.get("dataset", ""))
    yield from differences(run.manifest, root, lambda name: made_by[name].manifest if name in made_by else None)
    if layout.params.is_file() and (line := other_params(run, layout.params)):
        yield line
    if images and run.manifest.stage == "prepare":
        yield from _changed_images(layout, run.manifest)


def _changed_images(layout: Layout, manifest: StageManifest) -> Iterator[str]:
    """A line for each image that is not the one that `prepare` recorded."""
    for name in SPLITS:
        split = open_split(layout, name, read_vocabulary(layout.vocabulary))
        for index, record in enumerate(split.images):
            file = split.image_path(index, layout.root)
            if fault := difference(file, record.sha256):
                yield f'{file}: image of prepare {fault}; run "{command_of(manifest)}"'


if __name__ == "__main__":
    command()
