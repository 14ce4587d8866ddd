"""A million images through the stages: seconds until each works on its first image, CPU time, peak memory.

    python -m benchmarks.million [--images 1000000] [--folder /tmp/million] [--json result.json]

The world: tiny pictures, shared by hard links, a labels.csv with HICO-DET's 600 classes, three a training image, and a
tenth as many test images with two annotated pairs each. Proposals of the training images are imported from generated
COCO results, five an image. The toyworld's CLIP trains 200 steps of 8 images, drawn from all; the range that `infer`
computes is in the middle of the training images; the dump that `evaluate` scores is random, six pairs an image.

Each stage is its command in a fresh process. A memory peak is the process's own VmHWM. With `--workers`, images are
decoded by that many processes in training; `worker` is the largest peak of one, pages shared with its parent included.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from benchmarks.measure import ROOT, bytes_under, describe_machine, json_option, write_report
from pipeline.config.layout import Layout
from pipeline.config.run import Run
from pipeline.core.vocabulary import Vocabulary
from pipeline.methods.bilevel.method import Bilevel
from pipeline.methods.bilevel.params import BilevelParams
from pipeline.store.dump import write_dump
from pipeline.store.ragged import Column, offsets_of
from pipeline.store.vocabulary_file import read_vocabulary

DATASET, SIDE, PICTURES = "million", 48, 200
TEST_SHARE, LABELS, ANNOTATED, DETECTED = 10, 3, 2, 5  # train images a test image; then per image
HUMANS, PROPOSALS = 2, 4  # of the dump: 6 pairs an image
FILES = ("detections.json", "mat")
_CLIP = "clip.safetensors"
_TOKENS = 49408  # of CLIP
_CLASSES = ROOT / "pipeline/truth/hicodet_classes.csv"  # verb,object,rare
_RUN = ("--variant", "ours")


@dataclass(frozen=True)
class Stage:
    """A command's arguments, and the function ("module:name") whose first call ends its start-up."""

    arguments: tuple[str, ...]
    first: str


STAGES = {
    "prepare": Stage(("prepare",), "pipeline.truth.datasets.base:open_image"),
    "import-proposals": Stage(
        ("import-proposals", "--split", "train", "--input", "detections.json", "--labels", "vocabulary"),
        "pipeline.detection.importers:read_detections",
    ),
    "encode-prompts": Stage(("encode-prompts",), "stages.encode_prompts:encode_prompts"),
    "train": Stage(("train", *_RUN), "pipeline.data.bags:open_split_image"),
    "infer": Stage(("infer", *_RUN, "--split", "train"), "pipeline.data.bags:open_split_image"),
    "evaluate": Stage(("evaluate", *_RUN), "pipeline.evaluation.fusion:FusedDump.read"),
    "export": Stage(("export", *_RUN, "--format", "hicodet-mat", "--output", "mat"), "stages.export:write_hicodet_mat"),
}


def write_world(root: Path, images: int, workers: int) -> None:
    """Params, weights, pictures, labels.csv, annotations.csv; `images` to train on and a tenth to test on."""
    params = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params[DATASET] = section = dict(params["toyworld"])
    section["clip"] = {"weights": _CLIP}
    section["prepare"] = {"reader": "folder", "source": "data"}
    section["model"] = section["model"] | {"image_size": SIDE}
    section["train"] = section["train"] | {"epochs": 1, "max_proposals": 10, "num_workers": workers}
    root.mkdir(parents=True)
    (root / "params.yaml").write_text(yaml.safe_dump(params), encoding="utf-8")
    write_clip(root / _CLIP)
    rng, classes = np.random.default_rng(0), [line.rpartition(",")[0] for line in _CLASSES.read_text().splitlines()[1:]]
    pictures = [root / f"pictures/{number}.png" for number in range(PICTURES)]
    pictures[0].parent.mkdir()
    for picture in pictures:
        Image.fromarray(rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8)).save(picture)
    data = root / "data"
    data.mkdir()
    with (data / "labels.csv").open("w") as labels, (data / "annotations.csv").open("w") as boxes:
        labels.write("image,verb,object,split\n")
        corners = ",".join(f"{box}_{corner}" for box in ("human", "object") for corner in ("x1", "y1", "x2", "y2"))
        boxes.write(f"image,verb,object,{corners}\n")
        for index in range(images + images // TEST_SHARE):
            if index % 1000 == 0:
                (data / f"{index // 1000:05d}").mkdir()
            name, split = f"{index // 1000:05d}/{index:08d}.png", "train" if index < images else "test"
            (data / name).hardlink_to(pictures[index % PICTURES])
            shown = [classes[(index + 199 * number) % len(classes)] for number in range(LABELS)]
            labels.writelines(f"{name},{pair},{split}\n" for pair in shown)
            if split == "test":
                boxes.writelines(f"{name},{pair},2,2,20,40,10,10,40,40\n" for pair in shown[:ANNOTATED])


def write_clip(path: Path) -> None:
    """The toyworld's CLIP with a random row for each token of CLIP's vocabulary, since its own table is cut."""
    source = ROOT / "pipeline/toyworld/weights/clip.safetensors"
    state = load_file(source)
    del state["token_ids"]
    width = state["token_embedding.weight"].shape[1]
    state["token_embedding.weight"] = torch.randn(_TOKENS, width, generator=torch.Generator().manual_seed(0)).half()
    with safe_open(source, framework="pt") as file:
        config = json.loads(file.metadata()["config"])
    save_file(state, path, metadata={"config": json.dumps(config | {"vocab_size": _TOKENS})})


def write_detections(root: Path, images: int, vocabulary: Vocabulary) -> None:
    """COCO results of the training images: a person or two, and other objects."""
    with (root / "detections.json").open("w") as file:
        file.write("[")
        for index in range(images):
            name = f"{index // 1000:05d}/{index:08d}.png"
            for number in range(DETECTED):
                category = 0 if number < HUMANS else 1 + (index + 17 * number) % (vocabulary.num_objects - 1)
                entry = {"image_id": name, "category_id": category, "bbox": [2 + number, 2, 20, 30 + number]}
                file.write((",\n" if index or number else "") + json.dumps(entry | {"score": 0.9 - 0.1 * number}))
        file.write("]\n")


def write_random_dump(root: Path, first: int, images: int, vocabulary: Vocabulary) -> None:
    """A dump of the test images with random logits; its pieces are made as they are written."""
    pairs = [(human, partner) for human in range(HUMANS) for partner in range(PROPOSALS) if human != partner]
    columns = Bilevel(BilevelParams()).columns
    rows = {"image": images, "pair": images * len(pairs)}

    def column(shape: tuple[int, ...], seed: int, make: Callable[[Any, tuple[int, ...]], Any]) -> Column:
        def pieces() -> Iterator[NDArray[Any]]:
            rng = np.random.default_rng(seed)
            for low in range(0, shape[0], 4096):
                yield make(rng, (min(4096, shape[0] - low), *shape[1:]))

        return Column(shape, make(np.random.default_rng(0), (1, *shape[1:])).dtype, pieces)

    def logits(rng: Any, shape: tuple[int, ...]) -> NDArray[np.float32]:
        found: NDArray[np.float32] = rng.standard_normal(shape, dtype=np.float32)
        return found

    boxes = np.array([[2, 2, 20, 40], [3, 2, 21, 40], [10, 10, 40, 40], [12, 10, 41, 40]], np.float32)
    objects = np.random.default_rng(1).integers(1, vocabulary.num_objects, (images, PROPOSALS))
    objects[:, :HUMANS] = vocabulary.human_object_id
    human, partner = np.tile(np.array(pairs, np.int64).T, images)
    write_dump(
        Layout(root, DATASET).predictions(Run("ours")),
        vocabulary=vocabulary,
        image_ids=[f"{index // 1000:05d}/{index:08d}.png" for index in range(first, first + images)],
        variant="ours",
        columns=columns,
        outputs={
            item.name: column((rows[item.per], *item.width(vocabulary)), number, logits)
            for number, item in enumerate(columns)
        },
        proposal_offsets=offsets_of(np.full(images, PROPOSALS)),
        boxes=np.tile(boxes, (images, 1)),
        proposal_scores=np.random.default_rng(2).random(images * PROPOSALS, dtype=np.float32),
        object_ids=objects.ravel(),
        pair_offsets=offsets_of(np.full(images, len(pairs))),
        human_index=human,
        object_index=partner,
    )


def run_stage(name: str, root: Path) -> dict[str, float]:
    """Run a stage in a fresh process; raises ClickException with the end of its output where it fails."""
    stage = STAGES[name]
    arguments = [str(root / word) if word in FILES else word for word in stage.arguments]
    command = [sys.executable, "-m", "benchmarks.stage_process", stage.first, *arguments]
    command += ["--dataset", DATASET, "--root", str(root)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise click.ClickException(f"{name}: {done.stderr[-2000:]}")
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def measure(root: Path, images: int, workers: int) -> dict[str, dict[str, float]]:
    """Make the world, run all stages, and print a line for each."""
    start = time.perf_counter()
    write_world(root, images, workers)
    print(f"world of {images:,} + {images // TEST_SHARE:,} images: {time.perf_counter() - start:.0f} s", flush=True)
    layout, figures = Layout(root, DATASET), {}
    for name in STAGES:
        if name == "import-proposals":
            write_detections(root, images, read_vocabulary(layout.vocabulary))
        if name == "train":
            shutil.copytree(layout.imported_proposals("train").parent, layout.proposals("train").parent)
            (root / "detections.json").unlink()
        if name == "evaluate":
            write_random_dump(root, images, images // TEST_SHARE, read_vocabulary(layout.vocabulary))
        figures[name] = run_stage(name, root)
        told = "  ".join(f"{key} {value:,.1f}" for key, value in figures[name].items())
        print(f"{name:16} {told}", flush=True)
    sizes = {"manifest": layout.split("train"), "proposals": layout.proposals("train")}
    sizes["dump"] = layout.predictions(Run("ours"))
    print("  ".join(f"{name} {bytes_under(path) / 1e6:,.1f} MB" for name, path in sizes.items()))
    return figures


@click.command(help=__doc__)
@json_option
@click.option("--images", type=click.IntRange(600), default=1_000_000, show_default=True, help="Training images.")
@click.option("--folder", type=click.Path(path_type=Path), default=Path("/tmp/million"), show_default=True)
@click.option(
    "--workers", type=click.IntRange(0), default=0, show_default=True, help="Processes that decode, in train."
)
def command(output: Path | None, images: int, folder: Path, workers: int) -> None:
    """Measure, print, write the figures; the world is removed."""
    root = folder / "world"
    try:
        figures = measure(root, images, workers)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    write_report({"images": images, "stages": figures, "machine": describe_machine()}, output)


if __name__ == "__main__":
    command()
