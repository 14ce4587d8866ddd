"""weakhoi: find who does what to which object in images, and score such detections by the official protocols.

    import weakhoi

    model = weakhoi.load("toyworld/ours")
    result = model("examples/toyworld.png")
    for verb, object, score, boxes, factors in result.triplets:
        print(verb, object, round(score, 2), boxes.tolist())  # boxes [2, 4]: the person's, then the object's
    result.draw().save("drawn.png")

Boxes are x1, y1, x2, y2 in pixels, right and bottom exclusive. A wrong input raises a ValueError of one line: what,
where, expected and found, what to do. Torch is imported by `load`, not before.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from pipeline.prediction import THRESHOLD, TOP_K

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from pipeline.prediction.predictor import Predictor
    from pipeline.prediction.result import Prediction

    OneImage = str | os.PathLike[str] | Image.Image | np.ndarray[Any, Any]

__all__ = ["Model", "evaluate_hicodet", "evaluate_vcoco", "load"]


def load(
    model: str | os.PathLike[str] = "toyworld/ours",
    *,
    root: str | os.PathLike[str] = ".",
    dataset: str | None = None,
    variant: str | None = None,
    device: str = "auto",
    detect: Mapping[str, Any] | None = None,
) -> Model:
    """Load a trained model with its detector, as `weakhoi predict` does.

    `toyworld/ours` comes with the package, with its detector, and works in any folder; it knows the toyworld's
    drawings, not photographs. A model that was trained in `root` comes before it.

    Args:
        model: DATASET/VARIANT, or the folder of a checkpoint (config.json, model.safetensors).
        root: folder of the repository: params.yaml and cache/ lie there. Not needed for the package's model.
        dataset, variant: section and row of params.yaml whose detector and score fusion serve a checkpoint's folder; by
            default those of its place in the cache, elsewhere toyworld and ours.
        device: auto, cpu, cuda or cuda:N.
        detect: changes to the section `detect`, such as {"score_threshold": 0.05}.

    Raises:
        ValueError: no such model, dataset, variant or device; a damaged or changed file.
    """
    from pipeline.prediction.predictor import Predictor

    with _value_errors():
        return Model(Predictor.named(model, Path(root), dataset=dataset, variant=variant, device=device, detect=detect))


class Model:
    """A loaded model; `weakhoi.load` makes one."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    def __repr__(self) -> str:
        return f"<weakhoi.Model {self.origin}>"

    @property
    def origin(self) -> str:
        """Where the weights come from: the folder of a checkpoint, or "toyworld/ours, shipped with weakhoi"."""
        return self._predictor.origin

    @property
    def classes(self) -> list[tuple[str, str]]:
        """(verb, object) of each HOI class that the model knows."""
        vocabulary = self._predictor.vocabulary
        return [(vocabulary.verbs[verb], vocabulary.objects[name]) for verb, name in vocabulary.hoi_classes]

    @overload
    def __call__(self, images: OneImage, *, top_k: int = TOP_K, threshold: float = THRESHOLD) -> Prediction: ...

    @overload
    def __call__(
        self, images: list[OneImage] | tuple[OneImage, ...], *, top_k: int = TOP_K, threshold: float = THRESHOLD
    ) -> list[Prediction]: ...

    def __call__(
        self, images: Any, *, top_k: int = TOP_K, threshold: float = THRESHOLD
    ) -> Prediction | list[Prediction]:
        """Find triplets in one image, or in each of a list.

        Args:
            images: the path of an image, a Pillow image (both are turned upright as their EXIF says), a uint8 array
                [height, width, 3] in RGB order, or a list or tuple of these.
            top_k: most triplets of an image.
            threshold: lowest score of a triplet.

        Returns:
            A result, or a list of results in the order of the images. Of a result, `triplets` is a list by falling
            score, each with `verb`, `object`, `score` in 0..1, `boxes` float32 [2, 4] (the person's, then the object's,
            in pixels of `image`; also `human_box` and `object_box`) and `factors`, the parts of the score by name.
            `draw()` returns a Pillow image, `to_json()` plain values as in the file of `weakhoi predict --json`.
            `num_people` and `best` say more where nothing reaches the threshold.

        Raises:
            ValueError: an image that is missing, cannot be read, or is of another type or shape.
        """
        with _value_errors():
            return self._predictor(images, top_k=top_k, threshold=threshold)


def evaluate_hicodet(
    detections: Mapping[str, Any],
    annotations: Mapping[str, Any] | str | os.PathLike[str],
    *,
    setting: str = "default",
) -> dict[str, Any]:
    """Mean average precision by the official HICO-DET protocol.

    T detections, G annotated pairs, I images, H HOI classes. Integers and floats may be of any width; scores are
    compared as float32, and the first of equal ones counts first.

    Args:
        detections: `image_index` and `hoi_id` [T] from 0, `human_boxes` and `object_boxes` [T, 4], `scores` [T].
        annotations: `image_index`, `hoi_id`, `human_boxes`, `object_boxes` as above, of G pairs; `num_images` I, those
            without a pair among them; `hoi_object_ids` [H], the object category of each class. May also hold `rare`
            bool [H], and `image_hois` bool [I, H], the image-level labels that known_object goes by. Or the path of
            the official annotations (JSON form, or anno_bbox.mat), whose order of images `image_index` follows.
        setting: default, known_object, explanation_hoi, upt or gen_vlkt (docs/protocols.md).

    Returns:
        `setting`; `full`, and where rare classes are known `rare` and `non_rare`: means in 0..1; `ap` of each class,
        None where it has no annotated pair (0 in the means); `num_gt`, annotated pairs of each class.

    Raises:
        ValueError: an array is missing, or of another form; an id out of range; a box that is not finite or inverted.

    Example:
        >>> boxes = [[0, 0, 10, 10]]
        >>> pairs = {"image_index": [0], "hoi_id": [0], "human_boxes": boxes, "object_boxes": boxes}
        >>> evaluate_hicodet(pairs | {"scores": [0.9]}, pairs | {"num_images": 1, "hoi_object_ids": [0]})
        {'setting': 'default', 'full': 1.0, 'ap': [1.0], 'num_gt': [1]}
    """
    from pipeline.evaluation.arrays import hicodet_figures

    with _value_errors():
        return hicodet_figures(detections, annotations, setting)


def evaluate_vcoco(
    detections: Mapping[str, Any],
    annotations: Mapping[str, Any] | str | os.PathLike[str],
    instances: str | os.PathLike[str] | None = None,
    *,
    ties: str = "row_order",
) -> dict[str, Any]:
    """Role AP in both scenarios and agent AP by the official V-COCO protocol.

    T detections, I images, P people, A actions, R roles of an action beside the agent (2 at most).

    Args:
        detections: `image_id` [T]; `action_id` [T] from 0; `role_index` [T], 1 for an action's first role, 0 for the
            agent alone; `human_boxes` [T, 4]; `role_boxes` [T, 4], NaN where none is predicted; `scores` [T].
        annotations: `image_ids` [I], all images that are scored; of each person `image_id` [P], `boxes` [P, 4],
            `labels` int [P, A] (1 does the action, 0 does not, -1 for a person whom nobody annotated) and `role_boxes`
            [P, A, R, 4], NaN where the role is empty; `roles`, the names of each action's roles in the order of
            `labels`: {"hold": ["obj"], "walk": []}. Or the path of the official vcoco_*.json.
        instances: with that, the path of COCO's instances.json.
        ties: which of equal scores counts first: row_order (the first row), or official.

    Returns:
        `ap_role_s1`, `ap_role_s2` (24 verb-roles, without "point instr"), `ap_role_s1_25`, `ap_role_s2_25`, `ap_agent`:
        means in 0..1; `per_role` and `per_agent` by name, None where nobody is annotated (0 in the means).

    Raises:
        ValueError: as `evaluate_hicodet`.
    """
    from pipeline.evaluation.arrays import vcoco_figures

    with _value_errors():
        return vcoco_figures(detections, annotations, instances, ties)


@contextmanager
def _value_errors() -> Iterator[None]:
    """Turn mistakes that the user can mend into ValueErrors; anything else is a bug and passes."""
    from pipeline.core.errors import UserError

    try:
        yield
    except UserError as error:
        raise ValueError(str(error)) from error
