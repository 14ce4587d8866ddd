"""Off-the-shelf detectors by name: torchvision's builders with published or local weights, and our small one.

A detector is used frozen. Its thresholds are set from params; its categories are mapped to a vocabulary by name.
"""

from __future__ import annotations

import json
import pickle
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.error import URLError

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torchvision.models import WeightsEnum, get_model_builder, get_model_weights, list_models
from torchvision.models import detection as torchvision_detection
from torchvision.models.detection import FasterRCNN

from pipeline.core.errors import WeightsError, did_you_mean, resource_error
from pipeline.detection.class_probabilities import keep_class_probabilities
from pipeline.detection.own_weights import categories_beside, check_num_categories, read_categories, weights_of
from pipeline.detection.params import DetectParams
from pipeline.detection.small_fasterrcnn import small_fasterrcnn
from pipeline.store.file_content import first_line, published_fault, reason_and_remedy, torch_fault
from pipeline.store.files import sha256_of

SMALL = "small_fasterrcnn"
_UNREADABLE = (RuntimeError, pickle.UnpicklingError, EOFError, ValueError)  # what torch raises for damaged files


@dataclass(frozen=True)
class Detector:
    """A frozen torchvision-style detector: `model` maps a list of float images [3, H, W] in 0..1 to dicts.

    Attributes:
        categories: name of each label, label 0 (the background) first.
        architecture: JSON values from which `build_architecture` makes the same network.
        gives_class_probabilities: whether `detect` also returns them.
    """

    model: nn.Module
    name: str
    categories: tuple[str, ...]
    digest: str
    trained_on: str
    architecture: dict[str, Any]
    gives_class_probabilities: bool = False

    @torch.inference_mode()
    def detect(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
        """Return per image boxes [n, 4] xyxy pixels, labels [n], scores [n], by falling score.

        And `class_probabilities` [n, L], the background first, where `gives_class_probabilities` says so.
        """
        found: list[dict[str, Tensor]] = self.model(images)
        return found


def load_detector(params: DetectParams, *, root: Path) -> Detector:
    """Build the detector that params name, load its weights and set its thresholds.

    Weights are a published name, or a path relative to `root`. Those of a file have the published categories, or the
    ones that a categories file beside it names.

    Raises:
        WeightsError: unknown builder or weights, weights not on disk and not downloadable, or of another architecture
            or number of categories.
        DataError: the categories file is of another form.
    """
    path = root / params.weights
    if params.detector == SMALL:
        detector = _load_small(path, params.trained_on)
    else:
        known = list_models(module=torchvision_detection)
        if params.detector not in known:
            raise WeightsError(
                f'detect.detector: no detector "{params.detector}"{did_you_mean(params.detector, known)}; '
                f"it must be {SMALL} or one of torchvision's: {', '.join(known)}"
            )
        detector = _load_torchvision(params.detector, params.weights, path, params.trained_on)
    configure_thresholds(detector.model, params)
    detector.model.eval().requires_grad_(False)
    return replace(detector, gives_class_probabilities=keep_class_probabilities(detector.model))


def detector_files(params: DetectParams, *, root: Path) -> list[Path]:
    """The files that `load_detector` reads below `root` or at an absolute path: weights, names of their categories."""
    path = root / params.weights
    return [file for file in (path, categories_beside(path)) if path.exists() and file.exists()]


def build_architecture(architecture: Mapping[str, Any]) -> nn.Module:
    """Return the network of a `Detector.architecture` with random weights."""
    name, num_categories = architecture["name"], architecture["num_categories"]
    if name == SMALL:
        return small_fasterrcnn(num_categories, **architecture["config"])
    model: nn.Module = get_model_builder(name)(weights=None, weights_backbone=None, num_classes=num_categories)
    return model


def load_fasterrcnn(params: DetectParams, *, root: Path) -> tuple[FasterRCNN, dict[str, Any]]:
    """Return a loaded Faster R-CNN and its architecture: what the backbone `detector_fpn` takes its parts of.

    Raises:
        WeightsError: as `load_detector`, or the detector has no box head over a pyramid.
    """
    detector = load_detector(params, root=root)
    if not isinstance(detector.model, FasterRCNN):
        raise WeightsError(
            f"model.backbone: detector_fpn takes the backbone and box head of a Faster R-CNN, but detect.detector is "
            f"{detector.name}; set detect.detector to fasterrcnn_resnet50_fpn"
        )
    return detector.model, detector.architecture


def configure_thresholds(model: nn.Module, params: DetectParams) -> None:
    """Set score threshold, NMS threshold and cap where the architecture keeps them."""
    owner = getattr(model, "roi_heads", model)
    owner.score_thresh = params.score_threshold
    owner.nms_thresh = params.nms_threshold
    owner.detections_per_img = params.max_per_image


def _load_small(path: Path, trained_on: str) -> Detector:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
        categories = tuple(json.loads(metadata["categories"]))
        config = json.loads(metadata["config"])
        architecture = {"name": SMALL, "num_categories": len(categories), "config": config}
        model = build_architecture(architecture)
        _load_state(model, state, path)
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        fault = reason_and_remedy(path, "safetensors", error, "check the path")
        raise WeightsError(
            f"detect.weights: {path} cannot be read ({fault.what}); "
            f"expected a file of stages.toy_detector; {fault.remedy}"
        ) from None
    return Detector(model, SMALL, categories, sha256_of(path), trained_on, architecture)


def _load_torchvision(name: str, weights: str, path: Path, trained_on: str) -> Detector:
    published = get_model_weights(name)
    categories = tuple(published.DEFAULT.meta["categories"])
    if weights in published.__members__:
        state = _published_state(published[weights], weights, name)
        digest = f"torchvision:{name}/{published[weights].name}"  # never the moving DEFAULT
    elif path.exists():
        state = _read_state(path)
        digest = sha256_of(path)
        beside = categories_beside(path)
        categories = read_categories(beside) if beside.exists() else categories
    else:
        names = ", ".join(published.__members__)
        raise WeightsError(
            f'detect.weights: "{weights}" is neither a file nor weights of {name} '
            f"({names}){did_you_mean(weights, published.__members__)}"
        )
    architecture = {"name": name, "num_categories": len(categories)}
    model = build_architecture(architecture)
    check_num_categories(model.state_dict(), state, len(categories), path)
    _load_state(model, state, path)
    return Detector(model, name, categories, digest, trained_on, architecture)


def _published_state(entry: WeightsEnum, weights: str, name: str) -> dict[str, Tensor]:
    """Weights under a published name: torchvision's file, whose name holds the first digits of its sha256."""
    file = Path(torch.hub.get_dir()) / "checkpoints" / Path(entry.url).name
    digits = torch.hub.HASH_REGEX.search(file.name)
    if digits and file.is_file() and (fault := published_fault(file, digits[1])):
        raise WeightsError(
            f"detect.weights: {file.name} of {weights} is damaged or another file ({fault}); delete it from "
            f"{file.parent} and fetch it again, or name a file of your own by its path"
        )
    try:
        state: dict[str, Tensor] = entry.get_state_dict(progress=False, check_hash=True)
        return state
    except (URLError, OSError) as error:
        raise resource_error(error) or WeightsError(
            f"detect.weights: {weights} of {name} is neither in {file.parent} nor downloadable ({error}); "
            f"put {file.name} there, or give a path"
        ) from None
    except _UNREADABLE as error:
        raise resource_error(error) or WeightsError(
            f"detect.weights: {file.name} of {weights} is damaged ({first_line(error)}); "
            f"delete it from {file.parent} and fetch it again"
        ) from None


def _read_state(path: Path) -> dict[str, Tensor]:
    try:
        with torch.serialization.safe_globals([Namespace]):  # options, which torchvision's script saves beside weights
            state = weights_of(torch.load(path, map_location="cpu", weights_only=True))
    except Exception as error:  # torch raises exceptions of many types for damaged files
        fault = torch_fault(path, error, "save it with torch.save(model.state_dict(), path)")
        raise WeightsError(f"detect.weights: {path} cannot be read ({fault.what}); {fault.remedy}") from None
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsError(f"detect.weights: {path} holds a {type(state).__name__}; expected a state dict of tensors")
    return dict(state)


def _load_state(model: nn.Module, state: dict[str, Tensor], path: Path) -> None:
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise resource_error(error) or WeightsError(
            f"detect.weights: {path} is of another architecture ({reason})"
        ) from None
