"""V-COCO as human-object pairs with HOI classes (verb-role, object): what the weakly-supervised method learns from.

Verbs are verb-roles ("hold obj", "cut instr"), 24 of them: "point instr" is left out, as usual. A person whose role is
empty, or whose action has none ("walk"), makes no pair; such people count in `evaluate_vcoco`, which reads the official
files. The JSON form (annotations, classes, objects, images, action_to_object) lists the pairs itself; its boxes
`x2 = x1 + w` are ours already, and its object 0 is a background class, dropped here. The community's form
(trainval_vcoco.json and test_vcoco.json of QPIC) numbers 29 actions with their roles from 0, and objects as COCO does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.core.errors import DataError
from pipeline.core.types import IntArray
from pipeline.core.vocabulary import Vocabulary, human_category
from pipeline.data.coco_categories import COCO_91
from pipeline.store.json_file import read_annotation_json
from pipeline.truth.annotated_images import AnnotatedImages, check_lengths, known_ids, pairs_of_images, truth_of_pairs
from pipeline.truth.community_form import read_community_form
from pipeline.truth.ground_truth import GroundTruth
from pipeline.truth.vcoco_annotations import LEFT_OUT, PERSON_CATEGORY, VCocoAnnotations

# Actions of QPIC's convert_vcoco_annotations.py in their order; those without a role have no object.
_QPIC_ACTIONS = (
    "hold obj", "stand", "sit instr", "ride instr", "walk", "look obj", "hit instr", "hit obj", "eat obj", "eat instr",
    "jump instr", "lay instr", "talk_on_phone instr", "carry obj", "throw obj", "catch obj", "cut instr", "cut obj",
    "run", "work_on_computer instr", "ski instr", "surf instr", "skateboard instr", "smile", "drink instr", "kick obj",
    LEFT_OUT, "read obj", "snowboard instr",
)  # fmt: skip
_REQUIRED = ("annotations", "classes", "objects", "images", "action_to_object")


def read_vcoco_pairs(path: Path) -> AnnotatedImages:
    """Read the JSON form, e.g. `instances_vcoco_test.json`. It has no image sizes.

    Raises:
        DataError: missing, truncated, annotations of another dataset, or inconsistent.
    """
    data = read_annotation_json(path, _REQUIRED, "V-COCO (JSON form)")
    try:
        vocabulary, images = _vocabulary_of(data), data["annotations"]
        verbs, objects = range(vocabulary.num_verbs), range(1, vocabulary.num_objects + 1)
        verb_id = known_ids([verb for image in images for verb in image["actions"]], "action", verbs, path)
        object_id = known_ids([obj for image in images for obj in image["objects"]], "object", objects, path) - 1
        hoi_id = vocabulary.hoi_id_table[verb_id, object_id]
        truth = pairs_of_images(images, "actions", hoi_id, path)
        filenames = tuple(str(image["file_name"]) for image in images)
        check_lengths(path, len(images), images=data["images"])
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise DataError(f"{path}: not V-COCO in its JSON form ({type(error).__name__}: {error})") from None
    if (hoi_id < 0).any():
        row = int(np.flatnonzero(hoi_id < 0)[0])
        raise DataError(f"{path}: pair {row} is (verb {verb_id[row]}, object {object_id[row] + 1}), no HOI class")
    return AnnotatedImages(vocabulary, filenames, None, truth)


def read_vcoco_community(paths: Mapping[str, Path]) -> tuple[dict[str, AnnotatedImages], int]:
    """Read all splits in the community's form, which has no image sizes.

    HOI classes are the (verb-role, object) that occur in any of the splits, as in the official files.

    Returns:
        The splits, and the number of rows that are left out as they point past their image's boxes.

    Raises:
        DataError: missing, of another form, or an id that is no action or category.
    """
    objects = tuple(COCO_91.values())
    verbs = tuple(name for name in _QPIC_ACTIONS if name.endswith((" obj", " instr")) and name != LEFT_OUT)
    verb_of_action = np.array([verbs.index(name) if name in verbs else -1 for name in _QPIC_ACTIONS])
    categories = np.array([list(COCO_91).index(row) if row in COCO_91 else -1 for row in range(max(COCO_91) + 1)])
    found = {split: read_community_form(path) for split, path in paths.items()}
    ids: dict[str, tuple[IntArray, IntArray]] = {}
    for split, images in found.items():
        actions = known_ids(images.verb_ids, "action", range(len(_QPIC_ACTIONS)), paths[split])
        numbers = known_ids(images.object_categories, "category", range(len(categories)), paths[split])
        ids[split] = verb_of_action[actions], categories[numbers]
    occurring = {pair for verb, obj in ids.values() for pair in zip(verb.tolist(), obj.tolist(), strict=True)}
    classes = tuple(sorted(pair for pair in occurring if min(pair) >= 0))
    vocabulary = Vocabulary(objects, verbs, classes, human=human_category(objects))
    splits = {}
    for split, images in found.items():
        kept = (ids[split][0] >= 0) & (ids[split][1] >= 0)
        hoi_ids = vocabulary.hoi_id_table[ids[split][0][kept], ids[split][1][kept]]
        truth = truth_of_pairs(
            images.image_index[kept], hoi_ids, images.human_boxes[kept], images.object_boxes[kept], len(images)
        )
        splits[split] = AnnotatedImages(vocabulary, images.filenames, None, truth)
    return splits, sum(images.left_out for images in found.values())


def _vocabulary_of(data: dict[str, Any]) -> Vocabulary:
    """HOI classes by verb, then by object, of the JSON form."""
    classes = [
        (verb, obj) for verb, objects in enumerate(data["action_to_object"]) for obj in sorted(o - 1 for o in objects)
    ]
    objects = tuple(data["objects"][1:])
    human = human_category(objects, data.get("human"))
    return Vocabulary(objects=objects, verbs=tuple(data["classes"]), hoi_classes=tuple(classes), human=human)


def vcoco_vocabulary(splits: Sequence[VCocoAnnotations]) -> Vocabulary:
    """Vocabulary of official annotations: HOI classes are the (verb-role, object) that occur in any of the splits.

    Raises:
        DataError: the instances files name no categories.
    """
    first = splits[0]
    if not first.categories:
        raise DataError("the COCO instances file has no categories; give the complete instances.json")
    category_ids = list(first.categories)
    found: set[tuple[int, int]] = set()
    for split in splits:
        verb_id, _, object_box = _filled_roles(split)
        categories = split.category_ids[object_box].tolist()
        found.update(zip(verb_id.tolist(), map(category_ids.index, categories), strict=True))
    return Vocabulary(
        objects=tuple(first.categories.values()),
        verbs=tuple(first.verb_role_name(*pair) for pair in _verb_roles(first)),
        hoi_classes=tuple(sorted(found)),
        human=first.categories[PERSON_CATEGORY],
    )


def official_pairs(annotations: VCocoAnnotations, vocabulary: Vocabulary) -> AnnotatedImages:
    """Pairs of official annotations: every annotated person and filled role, by image.

    Raises:
        DataError: a pair's (verb-role, object) is no class of the vocabulary.
    """
    verb_id, person, object_box = _filled_roles(annotations)
    names = [annotations.categories[category] for category in annotations.category_ids[object_box].tolist()]
    object_id = np.array([vocabulary.objects.index(name) for name in names], dtype=np.int64)
    hoi_id = vocabulary.hoi_id_table[verb_id, object_id]
    if (hoi_id < 0).any():
        row = int(np.flatnonzero(hoi_id < 0)[0])
        raise DataError(
            f'V-COCO: "{vocabulary.verbs[verb_id[row]]}" with "{names[row]}" is no class of the vocabulary; '
            "make the vocabulary from all splits"
        )
    truth = GroundTruth(
        image_index=annotations.person_image[person].astype(np.int32),
        hoi_id=hoi_id.astype(np.int16),
        human_boxes=annotations.boxes[annotations.person_box[person]],
        object_boxes=annotations.boxes[object_box],
        num_images=len(annotations),
    )
    return AnnotatedImages(vocabulary, annotations.filenames, annotations.sizes, truth)


def _verb_roles(annotations: VCocoAnnotations) -> list[tuple[int, int]]:
    """(action, role) of each verb."""
    return [pair for pair in annotations.verb_roles if annotations.verb_role_name(*pair) != LEFT_OUT]


def _filled_roles(annotations: VCocoAnnotations) -> tuple[IntArray, IntArray, IntArray]:
    """Verb id, person and object box of each filled role, by person, then verb; int64 [G] each."""
    person, action, role = np.nonzero(annotations.role_box >= 0)
    verb_id = annotations.verb_role_ids(_verb_roles(annotations))[action, role]
    kept = verb_id >= 0
    return verb_id[kept], person[kept], annotations.role_box[person, action, role][kept]
