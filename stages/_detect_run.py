"""A detector over one split: what `detect` opens, here or on a worker of a cluster."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline.core.device import open_device, place
from pipeline.core.layout import Layout
from pipeline.core.params import DetectParams
from pipeline.data.split import read_split
from pipeline.detection.detectors import load_detector
from pipeline.detection.proposals import DetectWork
from pipeline.store.vocabulary_file import read_vocabulary


@dataclass(frozen=True)
class DetectRecipe:
    """Holds paths and choices only, so that a worker can be sent it and open it there."""

    root: Path
    dataset: str
    split: str
    params: DetectParams
    device: str
    channels_last: bool

    @property
    def folder(self) -> Path:
        """Of its parts."""
        return Layout(self.root, self.dataset).work("detect", self.split)

    @property
    def part_size(self) -> int:
        """Images."""
        return self.params.part_size

    def open(self) -> DetectWork:
        """Read everything.

        Raises:
            UserError: a file is missing or damaged, or the detector does not know the vocabulary.
        """
        layout = Layout(self.root, self.dataset)
        vocabulary = read_vocabulary(layout.vocabulary)
        manifest = read_split(layout.split(self.split), vocabulary)
        detector, device = load_detector(self.params, root=self.root), open_device(self.device)
        place(detector.model, device, channels_last=self.channels_last)
        return DetectWork(detector, manifest, vocabulary, self.params, self.root, device)
