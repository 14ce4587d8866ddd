"""What others publish: addresses, digests and licenses of weights, and the parts that a dataset is made of.

All of it is data, `published_files.json`; dataset folders are relative to the folder where one works.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.store.file_content import content_of

_DATA: dict[str, Any] = json.loads(Path(__file__).with_name("published_files.json").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class PublishedFile:
    """A file at a fixed address; `sha256` may be its first digits."""

    url: str
    sha256: str

    @property
    def file_name(self) -> str:
        """The last part of the address."""
        return Path(self.url).name


CLIP_FILES = {name: PublishedFile(**entry) for name, entry in _DATA["clip"].items()}  # by OpenAI's names
TORCHVISION_FILES = {name: PublishedFile(**entry) for name, entry in _DATA["torchvision"].items()}  # DETECTOR/WEIGHTS
CLIP_FOLDER = Path("~/.cache/clip")  # where OpenAI's package keeps weights
LICENSES: Mapping[str, str] = _DATA["licenses"]


@dataclass(frozen=True)
class DatasetPart:
    """An archive or a clone that a dataset needs.

    Args:
        gives: paths below the dataset's folder, and how many files each holds; 1 for a file.
        by_hand: what a person does where no program can fetch it.
        then: the command that puts an archive's content into the folder.
        sha256, bytes: of an archive that is fetched.
    """

    name: str
    url: str
    license: str
    gives: Mapping[str, int]
    by_hand: str = ""
    then: str = ""
    sha256: str = ""
    bytes: int | None = None

    def missing(self, folder: Path) -> list[str]:
        """What of it is not in the dataset's folder, in words."""
        found = {path: _count(folder / path) for path in self.gives}
        return [
            f"{path} ({found[path]:,} of {expected:,} files)" if expected > 1 and found[path] else path
            for path, expected in self.gives.items()
            if found[path] < expected
        ]

    def archive(self, folder: Path) -> Path:
        """Where the archive lies, beside the dataset's folder."""
        return folder.parent / self.name

    def next_step(self, folder: Path) -> str:
        """What to do next to have it in the folder."""
        archive = self.archive(folder)
        paths = {"archive": archive, "folder": folder, "parent": folder.parent}
        places = {"url": self.url} | {name: shlex.quote(str(path)) for name, path in paths.items()}
        if not self.then or not archive.is_file():
            return self.by_hand.format(**places)
        content = content_of(archive, "torch")
        if not self.sha256 and content and content.what != "a gzip archive":
            return f"{archive} is {content.what}: delete it; then {self.by_hand.format(**places)}"
        return self.then.format(**places)


@dataclass(frozen=True)
class PublishedDataset:
    """A dataset: its usual folder, as params.yaml names it, and its parts in the order in which to get them."""

    folder: Path
    parts: Sequence[DatasetPart]


DATASETS = {
    name: PublishedDataset(Path(entry["folder"]), [DatasetPart(**part) for part in entry["parts"]])
    for name, entry in _DATA["datasets"].items()
}


def _count(path: Path) -> int:
    """How many files a folder holds; 1 for a file, 0 where nothing is."""
    if path.is_dir():
        return sum(1 for _ in path.iterdir())
    return int(path.is_file())
