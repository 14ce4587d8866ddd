"""The forms of detections: which reader a file has, which writer a form has. `docs/formats.md` describes them.

A file's form is told by its name's end and by what it holds; a file to write gets its form by name.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from pipeline.core.errors import ArtifactError, ParamError
from pipeline.core.types import Detections
from pipeline.evaluation.detections_file import (
    check_hicodet_detections,
    check_npz_target,
    open_zarr_detections,
    read_hicodet_detections,
    read_vcoco_detections,
    write_npz,
)
from pipeline.evaluation.exchange_hicodet import (
    Order,
    check_folder_target,
    read_hicodet_folder,
    write_hicodet_mat,
)
from pipeline.evaluation.exchange_predictions import check_predictions_target, read_predictions, write_predictions
from pipeline.evaluation.exchange_vcoco import (
    check_pickle_target,
    on_people,
    read_vcoco_pickle,
    write_upt_cache,
    write_vcoco_pickle,
)
from pipeline.evaluation.role_detections import RoleDetections
from pipeline.store.detections_dump import MATCHES, open_detections, write_detections
from pipeline.store.targets import check_replaceable
from pipeline.truth.hicodet_annotations import HicoDetAnnotations
from pipeline.truth.vcoco_annotations import VCocoAnnotations

# Forms that can be written, with the end of a name that stands for them.
HICODET_FORMS = {"npz": ".npz", "zarr": ".zarr", "hicodet-mat": "", "upt-mat": None, "results-json": ".json"}
VCOCO_FORMS = {"npz": ".npz", "vcoco-pickle": ".pkl", "upt-cache": None}
_MAT_ORDERS: dict[str, Order] = {"hicodet-mat": "coco", "upt-mat": "alphabetical"}
_PICKLES = (".pkl", ".pickle")


def form_of(dataset: str, form: str | None, path: Path) -> str:
    """Return the form to write, by its name where that is given, else by the end of the path's name.

    Raises:
        ParamError: the dataset has no such form, or the path does not say which.
    """
    forms = HICODET_FORMS if dataset == "hicodet" else VCOCO_FORMS
    if form is None:
        form = next((name for name, suffix in forms.items() if suffix == path.suffix), None)
        if form is None:
            raise ParamError(f"--output {path}: its name tells no form; give --format, one of {', '.join(forms)}")
    if form not in forms:
        raise ParamError(f"--format {form} is no form of --dataset {dataset}; expected one of {', '.join(forms)}")
    return form


def check_output(form: str, path: Path) -> None:
    """Refuse a path that can't be written, or that holds anything but an earlier output of this form.

    Raises:
        DataError, ArtifactError: as `check_replaceable`.
    """
    if form in _MAT_ORDERS:
        check_folder_target(path)
    elif form == "zarr":
        check_replaceable(path, _is_zarr, what="detections", option="--output")
    elif form == "npz":
        check_npz_target(path)
    elif form == "results-json":
        check_predictions_target(path)
    else:
        check_pickle_target(path)


def _is_zarr(path: Path) -> bool:
    """Whether a folder holds detections and nothing that `evaluate` knows of them."""
    try:
        open_detections(path)
    except ArtifactError:
        return False
    return not any((path / name).exists() for name in MATCHES)


def read_hicodet(
    path: Path, annotations: HicoDetAnnotations, done: Callable[[], None] = lambda: None
) -> tuple[Detections, list[str]]:
    """Read and check triplets of any form, and notes on how they were understood.

    Args:
        done: called after each file of a folder.

    Raises:
        DataError, ArtifactError: as the readers of the forms.
    """
    num_hois, notes = annotations.vocabulary.num_hois, []
    if path.suffix == ".zarr":
        return open_zarr_detections(path, annotations.sizes, num_hois).read(0, len(annotations))[0], []
    if path.is_dir():
        found, order = read_hicodet_folder(path, annotations.vocabulary, len(annotations), done)
        name = "COCO's" if order == "coco" else "the alphabetical"
        notes = [f"{path}: the files are in {name} order of objects"]
    elif path.suffix == ".json":
        found, notes = read_predictions(path, annotations.vocabulary, annotations.filenames)
    else:
        return read_hicodet_detections(path, annotations.sizes, num_hois), []
    check_hicodet_detections(found, annotations.sizes, num_hois, str(path))
    return found, notes


def write_hicodet(
    form: str, path: Path, detections: Detections, annotations: HicoDetAnnotations, done: Callable[[], None]
) -> None:
    """Write triplets in one of `HICODET_FORMS`, atomically.

    Raises:
        DataError, ArtifactError: as `check_output`, or a form can't hold the classes of the annotations.
    """
    check_output(form, path)
    if form == "npz":
        write_npz(path, detections)
    elif form == "zarr":
        write_detections(path, [detections.take(np.argsort(detections.image_index, kind="stable"))])
    elif form == "results-json":
        write_predictions(path, detections, annotations.filenames)
    else:
        write_hicodet_mat(path, detections, annotations.vocabulary, len(annotations), done, _MAT_ORDERS[form])


def read_vcoco_roles(path: Path, annotations: VCocoAnnotations) -> tuple[RoleDetections, RoleDetections | None]:
    """Read and check role detections of any form; agent detections apart where the form scores them apart.

    Raises:
        DataError: as the readers of the forms.
    """
    if path.suffix in _PICKLES:
        return read_vcoco_pickle(path, annotations)
    return read_vcoco_detections(path, annotations.image_ids, annotations.sizes), None


def one_table(roles: RoleDetections, agents: RoleDetections, annotations: VCocoAnnotations) -> RoleDetections:
    """Return roles, and the agents of actions without roles: where a row has one score, it is that of both."""
    without = np.array([not names for names in annotations.roles], np.bool_)
    kept = vars(agents.take(without[agents.action_id]))
    return RoleDetections(**{name: np.concatenate([column, kept[name]]) for name, column in vars(roles).items()})


def write_vcoco(form: str, path: Path, detections: RoleDetections, annotations: VCocoAnnotations) -> list[str]:
    """Write role detections in one of `VCOCO_FORMS`, atomically; returns notes on what the form can't say.

    Raises:
        DataError, ArtifactError: as `check_output`.
    """
    check_output(form, path)
    if form == "npz":
        write_npz(path, detections)
        return []
    if form == "upt-cache":
        write_upt_cache(path, detections, annotations)
        return ["in this form an action that an object leaves out has score 0, which V-COCO's evaluator counts"]
    kept = on_people(detections, annotations)
    write_vcoco_pickle(path, kept, annotations)
    return left_out(len(detections) - len(kept))


def left_out(count: int) -> list[str]:
    """Note on detections that `on_people` takes out."""
    where = "detections are of images without people, where vsrl_eval.py stops"
    return [f"{count} {where}; left out (evaluate counts them as false positives)"] if count else []
