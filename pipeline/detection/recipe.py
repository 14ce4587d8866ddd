"""A detector over one split, unopened: what `detect` hands to this process or to the workers of a cluster."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pipeline.config.layout import Layout
from pipeline.core.device import open_device, place
from pipeline.data.split import read_split
from pipeline.detection.detectors import load_detector
from pipeline.detection.params import DetectParams
from pipeline.detection.proposals import DetectWork
from pipeline.store.vocabulary_file import read_vocabulary


@dataclass(frozen=True)
class DetectRecipe:
    """Paths and choices; opening it gives the work."""

    layout: Layout
    split: str
    params: DetectParams
    device: str
    channels_last: bool

    @property
    def folder(self) -> Path:
        """Of its parts."""
        return self.layout.work("detect", self.split)

    @property
    def part_size(self) -> int:
        """Images."""
        return self.params.part_size

    def open(self) -> DetectWork:
        """Read everything.

        Raises:
            UserError: a file is missing or damaged, or the detector does not know the vocabulary.
        """
        vocabulary = read_vocabulary(self.layout.vocabulary)
        manifest = read_split(self.layout.split(self.split), vocabulary)
        root = self.layout.root
        detector, device = load_detector(self.params, root=root), open_device(self.device)
        place(detector.model, device, channels_last=self.channels_last)
        return DetectWork(detector, manifest, vocabulary, self.params, root, device)
