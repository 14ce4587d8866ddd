"""The sections of a dataset in params.yaml, and the class of each, which is in the room that reads the section.

Classes are looked up by name, so that a stage depends on the code of the sections that it reads, and on no other.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import json
from functools import cache
from typing import Any

SECTIONS = {
    "prepare": "pipeline.truth.params.PrepareParams",
    "clip": "pipeline.prompts.params.ClipParams",
    "detect": "pipeline.detection.params.DetectParams",
    "encode_prompts": "pipeline.prompts.params.PromptParams",
    "encode_images": "pipeline.backbones.params.EncodeImagesParams",
    "label": "pipeline.labeling.params.LabelParams",
    "model": "pipeline.methods.params.ModelParams",
    "train": "pipeline.training.params.TrainParams",
    "infer": "pipeline.inference.params.InferParams",
    "evaluate": "pipeline.evaluation.params.EvaluateParams",
    "report": "pipeline.report.params.ReportParams",
    "represent": "pipeline.inference.params.RepresentParams",
    "tsne": "pipeline.report.params.TsneParams",
}
OVERRIDDEN = ("model", "train", "evaluate")  # sections that a variant may change


@cache
def section_class(name: str) -> type[Any]:
    """Return the class of a section."""
    module, _, kind = SECTIONS[name].rpartition(".")
    found: type[Any] = getattr(importlib.import_module(module), kind)
    return found


def section_name(kind: type[Any]) -> str:
    """Return the name of the section that a class describes."""
    path = f"{kind.__module__}.{kind.__qualname__}"
    return next(name for name, known in SECTIONS.items() if known == path)


def plain(section: Any) -> Any:
    """A section as JSON values; anything else unchanged."""
    is_section = dataclasses.is_dataclass(section) and not isinstance(section, type)
    return dataclasses.asdict(section) if is_section else section


def digest_of(params: Any) -> str:
    """Return the sha256 of a section or plain value in canonical JSON."""
    text = json.dumps(plain(params), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
