"""Proposals from elsewhere: one HDF5 file, and optionally beside it the manifest of the run that made it.

The file alone is checked against the images and categories that will use it, its boxes against the images' sizes.
With the manifest that `detect` wrote, `detect-<split>.json`, it must also be the file of that run, made from the same
images and labels.
"""

from __future__ import annotations

from pathlib import Path

from pipeline.core.errors import ArtifactError
from pipeline.core.image_bounds import check_inside, check_pixels
from pipeline.core.vocabulary import Vocabulary
from pipeline.data.split import SplitManifest
from pipeline.detection.proposals import check_humans
from pipeline.store.files import sha256_of
from pipeline.store.manifests import read_stage_manifest
from pipeline.store.proposals_file import SplitProposals, read_proposals
from pipeline.store.ragged import row_owner


def files_handed_over(source: Path, split: str) -> list[Path]:
    """The proposals file and its manifest, those that exist."""
    return [path for path in (source, source.with_name(f"detect-{split}.json")) if path.exists()]


def read_handed_over(source: Path, split_path: Path, manifest: SplitManifest, vocabulary: Vocabulary) -> SplitProposals:
    """Read proposals that were made elsewhere.

    Args:
        source: the proposals file.
        split_path: file of `manifest`.

    Raises:
        ArtifactError: as `read_proposals`, or the manifest beside it is of another file, split or images; both values
            are named.
        DataError: boxes that are outside their image or in fractions of it; no human in any image.
    """
    proposals = read_proposals(
        source, image_ids=manifest.image_ids, objects=vocabulary.objects, class_probabilities=True
    )
    for record in files_handed_over(source, manifest.split)[1:]:
        _check_record(record, source, split_path)
    where = f"{source}: boxes"
    check_pixels(proposals.boxes, where)
    check_inside(proposals.boxes, manifest.image_sizes[row_owner(proposals.offsets)], where)
    humans = int((proposals.object_ids == vocabulary.human_object_id).sum())
    check_humans(humans, manifest, vocabulary, f"check object_ids and the attribute objects of {source}")
    return proposals


def _check_record(record: Path, source: Path, split_path: Path) -> None:
    run = read_stage_manifest(record)
    dataset, split = run.arguments.get("dataset"), run.arguments.get("split")
    if run.stage != "detect" or split != split_path.stem:
        raise ArtifactError(
            f"{record}: manifest of {run.stage} {split}, expected detect {split_path.stem}; put the right one beside "
            f"{source.name}, or none"
        )
    found, made = sha256_of(source), next(iter(run.outputs.values()), "")
    if found != made:
        raise ArtifactError(
            f"{source}: sha256 {found[:12]}, its manifest {record.name} says {made[:12]}; get both from one run again"
        )
    ours, theirs = sha256_of(split_path), run.inputs.get(f"manifests/{dataset}/{split}.json", "")
    if ours != theirs:
        raise ArtifactError(
            f"{source}: made from images or labels of sha256 {theirs[:12]} ({record.name}), {split_path} is "
            f"{ours[:12]}; detect on your own images, or remove {record.name} to take the boxes on trust"
        )
