"""What the t-SNE pictures are drawn from: representations of several runs over the same pairs, and what these show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.config.run import Run
from pipeline.core.errors import ArtifactError
from pipeline.core.types import FloatArray, IntArray
from pipeline.core.vocabulary import Vocabulary
from pipeline.data.split import take_split
from pipeline.evaluation.pair_labels import label_pairs
from pipeline.store.bank_file import read_bank
from pipeline.store.inputs import StageInputs
from pipeline.store.representations_file import SplitRepresentations, read_representations
from pipeline.truth.ground_truth_file import read_ground_truth


@dataclass(frozen=True)
class EmbeddedRuns:
    """Representations by variant, one per seed, all of the same M pairs.

    `labels` int64 [M]: HOI class that each pair shows, -1 for none; `prompts` [H, D]: the bank before training.
    """

    vocabulary: Vocabulary
    runs: dict[str, list[SplitRepresentations]]
    labels: IntArray
    prompts: FloatArray


def open_embedded_runs(inputs: StageInputs, variants: Sequence[str], seeds: Sequence[int]) -> EmbeddedRuns:
    """Check and read the test representations of seeded runs.

    Raises:
        ArtifactError: a file is missing or damaged, or two runs hold other pairs.
    """
    layout, dataset = inputs.layout, inputs.layout.dataset
    vocabulary, manifest = take_split(inputs, "test")
    truth = read_ground_truth(inputs.take(layout.ground_truth("test"), "prepare"), manifest, vocabulary.num_hois).truth
    prompts = read_bank(
        inputs.take(layout.knowledge_bank, "encode_prompts"),
        num_hois=vocabulary.num_hois,
        remedy=f'run "weakhoi encode-prompts --dataset {dataset}"',
    ).hoi_embeddings
    runs: dict[str, list[SplitRepresentations]] = {name: [] for name in variants}
    for name, found in runs.items():
        for run in (Run.parse(name, seed=seed) for seed in seeds):
            split = read_representations(
                inputs.take(layout.representations(run), "represent", run),
                image_ids=manifest.image_ids,
                num_hois=vocabulary.num_hois,
                remedy=f'run "weakhoi represent --dataset {dataset} {run.options}"',
            )
            found.append(split)
            first = runs[variants[0]][0]
            if not split.same_pairs(first):
                raise ArtifactError(
                    f"{layout.representations(run)}: holds other pairs than {first.run}'s "
                    f'({len(split)} and {len(first)}); run "weakhoi represent" for both from the same proposals'
                )
    labels = label_pairs(first.image_index, first.human_boxes, first.object_boxes, first.object_ids, truth, vocabulary)
    return EmbeddedRuns(vocabulary, runs, labels, prompts)
