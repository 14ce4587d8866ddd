"""HICO-DET's official MATLAB files: `anno_bbox.mat` (boxes) and `anno.mat` (image-level labels), release 20160224.

`bbox_train(i)` and `bbox_test(i)` hold filename, size (width, height, depth) and `hoi`: for each class of the image its
1-based id, bboxhuman and bboxobject (x1, x2, y1, y2), connection (1-based rows of pairs [human, object]), and invis.
An invisible interaction has no pair (`eval_one.m` skips it). `anno_test(h, i)` of `anno.mat` is 1 where image i
shows class h; any other value (-1, 0, NaN) is no positive label.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import DataError
from pipeline.core.label_rows import LabelRows
from pipeline.core.vocabulary import Vocabulary, human_category
from pipeline.store.file_content import reason_and_remedy
from pipeline.truth.annotated_images import AnnotatedImages
from pipeline.truth.ground_truth_file import RARE_BELOW
from pipeline.truth.hicodet_annotations import HicoDetAnnotations, annotations_of

Split = Literal["train", "test"]
Images = TypeVar("Images", bound=AnnotatedImages)
_RELEASE = "expected anno_bbox.mat of HICO-DET, release 20160224"
_LABEL_RELEASE = "expected anno.mat of HICO-DET, release 20160224"


def read_hicodet_mat(path: Path, split: Split, labels_path: Path | None = None) -> HicoDetAnnotations:
    """Read one split of `anno_bbox.mat`; with `anno.mat` as `labels_path`, its image-level labels too.

    Rare classes have fewer than 10 visible training pairs in the file.

    Raises:
        DataError: missing, damaged, or of another release.
    """
    variables = load_mat(path, ("bbox_train", "bbox_test", "list_action"), _RELEASE)
    try:
        vocabulary = _vocabulary(variables["list_action"])
        train_pairs = [_image_pairs(image) for image in _rows(variables["bbox_train"])]
        images = _rows(variables[f"bbox_{split}"])
        train_ids = np.array([hoi for image in train_pairs for hoi in image["hoi"]], dtype=np.int64)
        counts = np.bincount(train_ids, minlength=vocabulary.num_hois)
        annotations = annotations_of(
            train_pairs if split == "train" else [_image_pairs(image) for image in images],
            vocabulary,
            filenames=tuple(_text(image["filename"]) for image in images),
            sizes=np.array([_size(image) for image in images], dtype=np.int64).reshape(-1, 2),
            rare=counts[: vocabulary.num_hois] < RARE_BELOW,
            path=path,
        )
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{path}: unexpected structure ({type(error).__name__}: {error}); {_RELEASE}") from None
    return annotations if labels_path is None else with_image_labels(annotations, split, labels_path)


def with_image_labels(annotations: Images, split: Split, path: Path) -> Images:
    """Return annotations of any form with the image-level labels of `anno.mat`, whose images may be in any order.

    Raises:
        DataError: missing, damaged, of another release, or without some of the images; or, as `eval_one.m` asserts of
            the test split, a pair is visible in an image that is labeled with no interaction of its object.
    """
    shown = _read_image_hois(path, split, annotations)
    if split == "test":
        _check_labels(shown, annotations, path)
    return replace(annotations, truth=replace(annotations.truth, image_hois=shown))


def _check_labels(shown: LabelRows, annotations: AnnotatedImages, path: Path) -> None:
    object_ids, truth = annotations.vocabulary.hoi_object_ids, annotations.truth
    labeled = np.zeros((len(annotations), annotations.vocabulary.num_objects), np.bool_)
    labeled[shown.image_index, object_ids[shown.hoi_ids]] = True
    rows = np.flatnonzero(~labeled[truth.image_index, object_ids[truth.hoi_id]])
    if len(rows):
        hoi = annotations.vocabulary.hoi_name(int(truth.hoi_id[rows[0]]))
        name = annotations.filenames[truth.image_index[rows[0]]]
        raise DataError(
            f'{path}: image "{name}" shows "{hoi}", but is labeled with no interaction of that object '
            f"({len(rows)} pairs are so); take both files from one release"
        )


def _read_image_hois(path: Path, split: Split, annotations: AnnotatedImages) -> LabelRows:
    """Image-level labels of the images."""
    variables = load_mat(path, (f"anno_{split}", f"list_{split}"), _LABEL_RELEASE)
    labels = np.asarray(variables[f"anno_{split}"])
    columns = {_text(name): column for column, name in enumerate(variables[f"list_{split}"].ravel())}
    expected = (annotations.vocabulary.num_hois, len(columns))
    if labels.shape != expected:
        raise DataError(f"{path}: anno_{split} is {labels.shape}, expected {expected}; {_LABEL_RELEASE}")
    for name in annotations.filenames:
        if name not in columns:
            raise DataError(f'{path}: list_{split} has no image "{name}", which is annotated; {_LABEL_RELEASE}')
    return LabelRows.of_mask((labels == 1).T[[columns[name] for name in annotations.filenames]])


def load_mat(path: Path, names: tuple[str, ...], release: str) -> dict[str, Any]:
    """Load some variables of a MATLAB file, all present."""
    from scipy.io import loadmat

    if not path.is_file():
        raise DataError(f"{path}: does not exist; check the path")
    try:
        variables = loadmat(path, variable_names=names)
    except Exception as error:  # on damaged files scipy raises whatever it trips over
        fault = reason_and_remedy(path, "mat", error, "download it again")
        raise DataError(f"{path}: not a readable MATLAB file ({fault.what}); {release}; {fault.remedy}") from None
    missing = [name for name in names if name not in variables]
    if missing:
        raise DataError(f"{path}: {', '.join(missing)} missing; {release}")
    return variables


def _rows(structs: Any) -> NDArray[Any]:
    """Elements of a MATLAB struct array, flat."""
    return np.asarray(structs).ravel()


def _number(value: Any) -> float:
    return float(np.asarray(value).ravel()[0])


def _size(image: Any) -> list[float]:
    """Width and height."""
    return [_number(_rows(image["size"])[0][key]) for key in ("width", "height")]


def _text(value: Any) -> str:
    """A MATLAB string, however many cells it is wrapped in."""
    while isinstance(value, np.ndarray):
        value = value.ravel()[0] if value.size else ""
    return str(value)


def _image_pairs(image: Any) -> dict[str, list[Any]]:
    """Visible pairs of one image in the JSON form: 0-based classes and boxes (x1, y1, x2, y2) as in the file."""
    pairs: dict[str, list[Any]] = {"hoi": [], "boxes_h": [], "boxes_o": []}
    for interaction in _rows(image["hoi"]):
        if not np.asarray(interaction["id"]).size or _number(interaction["invis"]):
            continue
        humans, objects = _boxes(interaction["bboxhuman"]), _boxes(interaction["bboxobject"])
        connection = np.asarray(interaction["connection"], dtype=np.int64).reshape(-1, 2)
        if (connection < 1).any():  # 0 would be Python's last box
            raise ValueError(f"connection {connection.min()}, expected rows from 1")
        pairs["hoi"] += [int(_number(interaction["id"])) - 1] * len(connection)
        pairs["boxes_h"] += [humans[row - 1] for row in connection[:, 0]]
        pairs["boxes_o"] += [objects[row - 1] for row in connection[:, 1]]
    return pairs


def _boxes(structs: Any) -> list[list[float]]:
    return [[_number(box[key]) for key in ("x1", "y1", "x2", "y2")] for box in _rows(structs)]


def _vocabulary(list_action: Any) -> Vocabulary:
    """Vocabulary of `list_action`: nouns and verbs in alphabetical order, HOI classes in the file's."""
    names = [(_text(action["vname"]), _text(action["nname"])) for action in _rows(list_action)]
    verbs, objects = sorted({verb for verb, _ in names}), sorted({obj for _, obj in names})
    classes = tuple((verbs.index(verb), objects.index(obj)) for verb, obj in names)
    return Vocabulary(tuple(objects), tuple(verbs), classes, human=human_category(objects))
