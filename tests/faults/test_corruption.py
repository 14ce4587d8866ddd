"""Artifacts that are damaged or swapped: named before they are used, with the command that makes them again."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.faults.stages import FROZEN, RUN, SEEDED, in_process, refused
from tests.roots import succeeds, weakhoi

pytestmark = pytest.mark.slow
CACHE, SPLITS, RESULTS = "cache/toyworld", "manifests/toyworld", "results/toyworld"
DETECT = ("detect", "--split", "test")
REPRESENT = ("represent", *SEEDED)

# Artifact, a sibling to swap it with, a stage that reads it, and the command that makes it again
ARTIFACTS = {
    "vocabulary": (f"{SPLITS}/vocabulary.json", f"{SPLITS}/val.json", DETECT, "weakhoi prepare --dataset toyworld"),
    "split": (f"{SPLITS}/train.json", f"{SPLITS}/test.json", ("train", *RUN), "weakhoi prepare --dataset toyworld"),
    "ground truth": (
        f"{CACHE}/ground_truth/test.json",
        f"{CACHE}/ground_truth/val.json",
        ("evaluate", *RUN),
        "weakhoi prepare --dataset toyworld",
    ),
    "proposals": (
        f"{CACHE}/proposals/train.h5",
        f"{CACHE}/proposals/test.h5",
        ("train", *RUN),
        "weakhoi detect --dataset toyworld --split train",
    ),
    "proposals, infer": (
        f"{CACHE}/proposals/test.h5",
        f"{CACHE}/proposals/train.h5",
        ("infer", *RUN),
        "weakhoi detect --dataset toyworld --split test",
    ),
    "bank": (
        f"{CACHE}/knowledge_bank.h5",
        f"{CACHE}/proposals/test.h5",
        ("train", *RUN),
        "weakhoi encode-prompts --dataset toyworld",
    ),
    "features": (
        f"{CACHE}/features/ours_frozen/train.zarr/features/c/0/0/0",
        f"{CACHE}/features/ours_frozen/train.zarr/features/c/1/0/0",
        ("train", *FROZEN),
        "weakhoi encode-images --dataset toyworld --variant ours_frozen --split train",
    ),
    "checkpoint": (
        f"{CACHE}/checkpoints/ours/model.safetensors",
        f"{CACHE}/other/model.safetensors",
        ("infer", *RUN),
        "weakhoi train --dataset toyworld --variant ours",
    ),
    "checkpoint, represent": (
        f"{CACHE}/seeds/checkpoints/ours-0/config.json",
        f"{SPLITS}/vocabulary.json",
        REPRESENT,
        "weakhoi train --dataset toyworld --variant ours --seed 0",
    ),
    "dump's metadata": (
        f"{CACHE}/predictions/ours.zarr/zarr.json",
        f"{CACHE}/predictions/ours.zarr/boxes/zarr.json",
        ("evaluate", *RUN),
        "weakhoi infer --dataset toyworld --variant ours --split test",
    ),
    "dump's array": (
        f"{CACHE}/predictions/ours.zarr/human_index/zarr.json",
        f"{CACHE}/predictions/ours.zarr/object_index/zarr.json",
        ("evaluate", *RUN),
        "weakhoi infer --dataset toyworld --variant ours --split test",
    ),
    "detections": (
        f"{CACHE}/detections/ours.zarr/scores/zarr.json",
        f"{CACHE}/detections/ours.zarr/hoi_id/zarr.json",
        ("export", *RUN, "--format", "hicodet-mat", "--output", "exported"),
        "weakhoi evaluate --dataset toyworld --variant ours --split test",
    ),
    "dump's shard": (
        f"{CACHE}/predictions/ours.zarr/interaction_logits/c/0/0",
        f"{CACHE}/predictions/ours.zarr/boxes/c/0/0",
        ("evaluate", *RUN),
        "weakhoi infer --dataset toyworld --variant ours --split test",
    ),
    "dump of a seed": (
        f"{CACHE}/seeds/predictions/ours-0.zarr/image_logits/c/0/0",
        f"{CACHE}/predictions/ours.zarr/boxes/c/0/0",
        ("score", *SEEDED),
        "weakhoi infer --dataset toyworld --variant ours --split test --seed 0",
    ),
    "representations": (
        f"{CACHE}/seeds/representations/ours-0.h5",
        f"{CACHE}/knowledge_bank.h5",
        ("tsne",),
        "weakhoi represent --dataset toyworld --variant ours --split test --seed 0",
    ),
    "training log": (
        f"{RESULTS}/training/ours.csv",
        f"{RESULTS}/weights/ours/detector.csv",
        ("report",),
        "weakhoi train --dataset toyworld --variant ours",
    ),
    **{
        f"results, {name}": (
            f"{RESULTS}/{name}.csv",
            f"{RESULTS}/training/ours.csv",
            ("report",),
            "weakhoi evaluate --dataset toyworld --variant ours --split test",
        )
        for name in ("per_class/ours", "curves/ours", "weights/ours/detector")
    },
    "metrics": (
        f"{RESULTS}/ours.json",
        f"{RESULTS}/study/ours-0.json",
        ("summary",),
        "weakhoi evaluate --dataset toyworld --variant ours --split test",
    ),
}
# A digest, or the digests' names, in the manifest of the stage that made an input
MANIFESTS = {
    "prepare": (("train", *RUN), "train.json"),
    "detect-train": (("train", *RUN), "proposals/train.h5"),
    "encode_prompts": (("train", *RUN), "knowledge_bank.h5"),
    "train-ours": (("infer", *RUN), "checkpoints/ours"),
    "infer-ours-test": (("evaluate", *RUN), "ours.zarr"),
    "evaluate-ours": (("summary",), "ours.json"),
}


KEPT_IN = ("checkpoints", "weights")  # folders whose folders are one artifact each


def artifact(name: str) -> str:
    """The file, or the folder that is one artifact."""
    folders = (path for path in Path(name).parents if path.suffix == ".zarr" or path.parent.name in KEPT_IN)
    return next((path.as_posix() for path in folders), name)


def faults(path: Path, sibling: Path) -> Iterator[tuple[str, Callable[[], object]]]:
    """Every way in which the file may come to be another, by name."""
    whole = path.read_bytes()
    random = np.random.default_rng(len(whole))
    for position in [0, len(whole) - 1, *random.integers(0, len(whole), 4).tolist()]:
        flipped = bytearray(whole)
        flipped[position] ^= 1 << int(random.integers(0, 8))
        yield f"byte {position}", lambda data=bytes(flipped): path.write_bytes(data)
    yield "half", lambda: path.write_bytes(whole[: len(whole) // 2])
    yield "empty", lambda: path.write_bytes(b"")
    yield "one byte more", lambda: path.write_bytes(whole + b"\n")
    yield "swapped", lambda: path.write_bytes(sibling.read_bytes())


@pytest.mark.parametrize("kind", ARTIFACTS)
def test_a_damaged_artifact_is_named_with_its_remedy(root, kind):
    name, other, call, remedy = ARTIFACTS[kind]
    if not (root / other).exists():
        (root / other).parent.mkdir()
        shutil.copy(root / CACHE / "seeds/checkpoints/ours-0/model.safetensors", root / other)
    path, whole = root / name, (root / name).read_bytes()
    for fault, damage in faults(path, root / other):
        damage()
        if path.read_bytes() == whole:
            assert fault == "swapped", "siblings of equal bytes"
            continue
        line = refused(root, *call)
        assert remedy in line, fault
        assert f"{root / artifact(name)}: " in line, fault
        path.write_bytes(whole)


@pytest.mark.parametrize(
    ("change", "folder"),
    [
        (lambda folder: (folder / "boxes/c/0/0").unlink(), "predictions/ours.zarr"),
        (lambda folder: (folder / "boxes/c/9").write_text("further"), "predictions/ours.zarr"),
        (lambda folder: shutil.rmtree(folder / "boxes"), "predictions/ours.zarr"),
        (lambda folder: (folder / "config.json").unlink(), "checkpoints/ours"),
        (lambda folder: (folder / "further").write_text(""), "checkpoints/ours"),
    ],
)
def test_files_too_few_or_too_many_are_noticed(root, change, folder):
    change(root / CACHE / folder)
    assert str(root / CACHE / folder) in refused(root, "evaluate" if "zarr" in folder else "infer", *RUN)


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_damaged_manifest_is_named(root, name):
    call, output = MANIFESTS[name]
    path = root / f"{SPLITS}/runs/{name}.json"
    whole = path.read_text()
    at = whole.rindex(f'{output}": "') + len(output) + 4  # the digest of the output that the stage reads
    other = "0" if whole[at] != "0" else "1"
    for text in (
        whole[:at] + other + whole[at + 1 :],
        whole.replace(f'{output}"', f'{output}x"'),
        whole[: len(whole) // 2],
        "",
        whole.replace('"outputs"', '"output"'),
        whole.replace('"params": {', '"params": {"x": 1, ' if '"params": {}' not in whole else '"params": {"x": 1'),
    ):
        assert text != whole
        path.write_text(text)
        assert str(path) in refused(root, *call)
    path.write_text(whole)
    assert in_process(root, "summary").exit_code == 0


@pytest.mark.parametrize("call", [DETECT, ("infer", *RUN), REPRESENT, ("report",)])
def test_another_image_in_place_of_one_is_named(root, call):
    images = sorted((root / CACHE / "images/test").iterdir())
    whole = {path: path.read_bytes() for path in images}
    for path in images:
        path.write_bytes(whole[images[0]])
    line = refused(root, *call)
    assert "images/test/" in line and "prepare" in line
    assert "sha256" in line or "pixels" in line


def test_verify_sees_every_artifact_of_the_table(root):
    """What DVC does not run: one command that looks at everything."""
    succeeds(root, "verify")
    for name, *_ in ARTIFACTS.values():
        path = root / name
        whole = path.read_bytes()
        path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        done = weakhoi(root, "verify")
        assert done.exit_code == 2
        assert f"{artifact(name)}: output of " in done.output
        path.write_bytes(whole)
