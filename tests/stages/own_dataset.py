"""The smallest dataset of one's own, drawn images and labels.csv, no boxes; and the stages to run it through."""

from __future__ import annotations

import shutil
from pathlib import Path

import yaml
from click.testing import CliRunner, Result

from pipeline.toyworld.scenes import render_scene
from pipeline.toyworld.vocabulary import toyworld_vocabulary
from stages.cli import main

ROOT = Path(__file__).parents[2]
WEIGHTS = "pipeline/toyworld/weights"
SOURCE = "data/custom"
COUNTS = {"train": 24, "val": 2, "test": 6}


def weakhoi(root: Path, *call: str) -> Result:
    return CliRunner().invoke(main, [*call, "--root", str(root)])


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


def write_params(root: Path, edit=lambda section: None) -> None:
    """params.yaml as it is shipped, with `custom` on the toyworld's weights and one short epoch."""
    document = yaml.safe_load((ROOT / "params.yaml").read_text())
    toyworld, custom = document["toyworld"], document["custom"]
    for stage in ("clip", "detect", "model"):
        custom[stage] = toyworld[stage]
    custom["train"] = toyworld["train"] | {"epochs": 1}
    edit(custom)
    (root / "params.yaml").write_text(yaml.safe_dump(document, sort_keys=False))


def build_root(root: Path, *, seed: int = 0) -> Path:
    """A repository root with params, toy weights, images and labels; no stage has run."""
    lines = write_images(root / SOURCE, COUNTS, seed=seed)
    (root / SOURCE / "labels.csv").write_text("\n".join(lines) + "\n")
    write_params(root)
    (root / WEIGHTS).parent.mkdir(parents=True)
    (root / WEIGHTS).symlink_to(ROOT / WEIGHTS)
    return root


STAGES = (
    ("prepare",),
    ("detect", "--split", "train"),
    ("detect", "--split", "val"),
    ("detect", "--split", "test"),
    ("encode-prompts",),
    ("train",),
    ("infer",),
)


def run_stages(root: Path) -> None:
    for stage, *options in STAGES:
        done = weakhoi(root, stage, "--dataset", "custom", *options)
        assert done.exit_code == 0, (stage, done.output)


def copied(root: Path, target: Path) -> Path:
    shutil.copytree(root, target, symlinks=True)
    return target
