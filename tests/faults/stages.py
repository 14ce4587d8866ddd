"""Every stage that writes an artifact, on the small toyworld, in the order in which they need each other."""

from __future__ import annotations

from pathlib import Path

from click.testing import Result

from tests import roots

RUN = ("--variant", "ours")
FROZEN = ("--variant", "ours_frozen")
SEEDED = (*RUN, "--seed", "0")
TRAIN = ("train", *RUN, "--again")  # the world that tests damage is trained already
STAGES: dict[str, tuple[str, ...]] = {
    "prepare": ("prepare",),
    "detect": ("detect", "--split", "train"),
    "detect-test": ("detect", "--split", "test"),
    "encode_prompts": ("encode-prompts",),
    "encode_images": ("encode-images", *FROZEN),
    "train": TRAIN,
    "train-seeded": ("train", *SEEDED),
    "infer": ("infer", *RUN),
    "infer-seeded": ("infer", *SEEDED),
    "evaluate": ("evaluate", *RUN),
    "score": ("score", *SEEDED),
    "represent": ("represent", *SEEDED),
    "tsne": ("tsne",),
    "summary": ("summary", "--write"),
    "report": ("report",),
}


def arguments(root: Path, *call: str) -> list[str]:
    return [*call, "--dataset", "toyworld", "--root", str(root)]


def in_process(root: Path, *call: str) -> Result:
    return roots.weakhoi(root, *call, "--dataset", "toyworld")


def refused(root: Path, *call: str) -> str:
    return roots.refused(root, *call, "--dataset", "toyworld")
