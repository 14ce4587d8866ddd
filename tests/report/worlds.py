"""A finished run of two variants in a scratch root: images, manifests, ground truth, dumps, metrics and logs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import yaml
from click.testing import CliRunner
from PIL import Image

from pipeline.config.layout import Layout
from pipeline.config.run import Run
from pipeline.core.types import ImageLabels, ImageRecord
from pipeline.core.vocabulary import Vocabulary
from pipeline.data.split import SplitManifest, write_split
from pipeline.store.dump import PredictionDump, write_dump
from pipeline.store.files import sha256_of, write_json, write_text
from pipeline.store.vocabulary_file import write_vocabulary
from pipeline.truth.ground_truth_file import AnnotatedSplit, write_ground_truth, write_unannotated
from tests.conftest import ROOT
from tests.evaluation.test_fusion import COLUMNS
from tests.evaluation.worlds import ground_truth

VARIANTS = ("baseline", "ours")
VOCABULARY = Vocabulary(
    objects=("person", "bicycle", "cup"), verbs=("ride", "hold"), hoi_classes=((0, 1), (1, 1), (1, 2))
)
PERSON, BICYCLE = (8, 8, 24, 56), (32, 24, 56, 56)


def write_world(root: Path, num_images: int = 3, *, boxes: bool = True) -> Layout:
    """Write all that `report` reads; in each image a person rides a bicycle, and in image 0 holds it as well.

    Args:
        boxes: of the annotations; without, images have their labels alone.
    """
    from stages.evaluate import command as evaluate

    document = yaml.safe_load((ROOT / "params.yaml").read_text())
    document["run_variants"] = list(VARIANTS)
    document["toyworld"]["report"] = {"num_images": 2, "pairs_per_image": 2, "gallery_images": 3}
    write_text(root / "params.yaml", yaml.safe_dump(document))
    layout = Layout(root, "toyworld")
    write_vocabulary(layout.vocabulary, VOCABULARY)
    manifest = _write_images(layout, num_images)
    rows = [(image, 0, PERSON, BICYCLE) for image in range(num_images)] + [(0, 1, PERSON, BICYCLE)]
    annotated = AnnotatedSplit(ground_truth(rows, num_images), np.array([50, 3, 20]))
    if boxes:
        write_ground_truth(layout.ground_truth("test"), annotated, manifest)
    else:
        write_unannotated(layout.ground_truth("test"), manifest)
    for seed, variant in enumerate(VARIANTS):
        write_dump(layout.predictions(Run(variant)), **vars(_dump(manifest, variant, seed)))
        write_text(layout.training_log(Run(variant)), _training_log())
        result = CliRunner().invoke(evaluate, ["--dataset", "toyworld", "--variant", variant, "--root", str(root)])
        assert result.exit_code == 0, result.output
    return layout


def write_metrics(layout: Layout, run: Run, full: float, rare: float | None) -> None:
    """Write the metrics of a run by hand, percent; Non-rare is one point above Full."""
    names = ("images", "ground_truth_pairs", "detections", "hoi_classes", "classes_without_ground_truth")
    counts, scores = dict.fromkeys(names, 7), _scores(full, rare)
    write_json(layout.metrics(run), {"variant": run.text, "split": run.split, **scores, "counts": counts})


def write_study_run(layout: Layout, run: Run, full_by_row: dict[str, float]) -> None:
    """Write the metrics of every row of a seeded run by hand, percent; Rare is 5, Non-rare one point above Full."""
    rows = {row: _scores(full, 5.0) | {"counts": {}} for row, full in full_by_row.items()}
    write_json(layout.study(run), {"dataset": layout.dataset, "run": run.text, "seed": run.seed, "rows": rows})


def _scores(full: float, rare: float | None) -> dict:
    means = {"full": full, "rare": rare, "non_rare": full + 1}
    return {"setting": "default", **means, "max_recall": 90.0, "groups": dict.fromkeys(means, 7)}


def _write_images(layout: Layout, num_images: int) -> SplitManifest:
    records, folder = [], layout.drawn_images / "test"
    folder.mkdir(parents=True)
    for index in range(num_images):
        path = folder / f"{index}.png"
        Image.new("RGB", (64, 64), (120, 120, 40 * index)).save(path)
        records.append(ImageRecord(f"test-{index}", f"test/{index}.png", 64, 64, sha256_of(path)))
    manifest = SplitManifest(
        dataset="toyworld",
        split="test",
        image_root=layout.drawn_images.relative_to(layout.root).as_posix(),
        images=tuple(records),
        labels=tuple(ImageLabels(record.image_id, np.array([0])) for record in records),
    )
    write_split(layout.split("test"), manifest)
    return manifest


def _dump(manifest: SplitManifest, variant: str, seed: int) -> PredictionDump:
    """One person and one bicycle per image, one pair; logits are random."""
    count, rng = len(manifest), np.random.default_rng(seed)

    def logits(*shape: int) -> np.ndarray:
        return rng.normal(size=shape).astype(np.float32)

    return PredictionDump(
        vocabulary=VOCABULARY,
        image_ids=manifest.image_ids,
        variant=variant,
        columns=COLUMNS,
        outputs={
            "image_logits": logits(count, VOCABULARY.num_hois),
            "interaction_logits": logits(count, VOCABULARY.num_verbs),
            "relatedness_logits": logits(count),
        },
        proposal_offsets=np.arange(count + 1) * 2,
        boxes=np.array([PERSON, BICYCLE] * count, np.float32),
        proposal_scores=np.full(2 * count, 0.9, np.float32),
        object_ids=np.array([0, 1] * count),
        pair_offsets=np.arange(count + 1),
        human_index=np.zeros(count, np.int64),
        object_index=np.ones(count, np.int64),
    )


def _training_log() -> str:
    rows = [f"{step},{step / 4:.2f},{9 - step},{3 - step / 3},{6 - step},0" for step in range(6)]
    return "\n".join(["iteration,epoch,loss,global,pair,relatedness", *rows]) + "\n"
