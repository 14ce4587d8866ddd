"""The smallest dataset of one's own: drawn images and labels.csv, no boxes; and the stages to run it through."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.toyworld.scenes import render_scene
from pipeline.toyworld.vocabulary import toyworld_vocabulary
from tests.roots import edit_params, new_root

SOURCE = "data/custom"
COUNTS = {"train": 24, "val": 2, "test": 6}
STAGES = (
    ("prepare",),
    ("detect", "--split", "train"),
    ("detect", "--split", "val"),
    ("detect", "--split", "test"),
    ("encode-prompts",),
    ("train",),
    ("infer",),
)


def on_toy_weights(edit: Callable[[dict[str, Any]], object] = lambda section: None) -> Callable[[dict[str, Any]], None]:
    """An edit of params.yaml: `custom` on the toyworld's weights, with one short epoch, and a further edit of it."""

    def change(document: dict[str, Any]) -> None:
        toyworld, custom = document["toyworld"], document["custom"]
        custom |= {stage: toyworld[stage] for stage in ("clip", "detect", "model")}
        custom["train"] = toyworld["train"] | {"epochs": 1}
        edit(custom)

    return change


def edit_custom(root: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    """Edit the section `custom` of params.yaml."""
    edit_params(root, lambda document: edit(document["custom"]))


def write_images(folder: Path, counts: dict[str, int], *, seed: int = 0) -> list[str]:
    """Draw scenes and save them as PNG; return the lines of labels.csv, its header among them."""
    vocabulary, lines = toyworld_vocabulary(), ["image,verb,object,split"]
    for split, count in counts.items():
        (folder / split).mkdir(parents=True)
        for index in range(count):
            scene = render_scene(split, index, root_seed=7 + seed, exponent=1.0)
            name = f"{split}/photo {index}.png"
            scene.image.save(folder / name)
            for hoi_id in sorted(set(scene.hoi_id.tolist())):
                verb_id, object_id = vocabulary.hoi_classes[hoi_id]
                lines.append(f"{name},{vocabulary.verbs[verb_id]},{vocabulary.objects[object_id]},{split}")
    return lines


def write_boxes(folder: Path, *, seed: int = 0) -> None:
    """Write annotations.csv: the pairs of the scenes that `write_images` drew."""
    vocabulary = toyworld_vocabulary()
    corners = [f"{kind}_{corner}" for kind in ("human", "object") for corner in ("x1", "y1", "x2", "y2")]
    lines = [",".join(["image", "verb", "object", *corners])]
    for split, count in COUNTS.items():
        for index in range(count):
            scene = render_scene(split, index, root_seed=7 + seed, exponent=1.0)
            lines.append(f"{split}/photo {index}.png" + "," * 10)
            for hoi_id, human, thing in zip(scene.hoi_id, scene.human_index, scene.object_index, strict=True):
                verb_id, object_id = vocabulary.hoi_classes[hoi_id]
                boxes = [*scene.boxes[human].tolist(), *scene.boxes[thing].tolist()]
                names = f"{vocabulary.verbs[verb_id]},{vocabulary.objects[object_id]}"
                lines.append(f"{split}/photo {index}.png,{names},{','.join(map(str, boxes))}")
    (folder / "annotations.csv").write_text("\n".join(lines) + "\n")


def build_root(root: Path, *, seed: int = 0) -> Path:
    """A repository root with params, toy weights, images and labels; no stage has run."""
    lines = write_images(root / SOURCE, COUNTS, seed=seed)
    (root / SOURCE / "labels.csv").write_text("\n".join(lines) + "\n")
    return new_root(root, on_toy_weights())
