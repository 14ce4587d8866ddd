"""Fig. 4 and 5 of the paper (App. A and D): t-SNE of pairs and banks of several runs, and how well classes separate."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_limits

from pipeline.config.run import Run
from pipeline.core.errors import ArtifactError, DataError
from pipeline.core.seeding import numpy_generator
from pipeline.core.types import FloatArray, IntArray
from pipeline.core.vocabulary import Vocabulary
from pipeline.data.split import take_split
from pipeline.evaluation.shown_classes import shown_classes
from pipeline.report.embedding_plot import EmbeddedPoints, draw_embedding
from pipeline.report.number_text import Estimate
from pipeline.report.params import TsneParams
from pipeline.report.separation import bank_measures, over_seeds, pair_measures, rounded, unit_rows
from pipeline.store.bank_file import read_bank
from pipeline.store.inputs import StageInputs
from pipeline.store.representations_file import SplitRepresentations, read_representations
from pipeline.truth.ground_truth_file import read_ground_truth

INITIAL = "prompts"  # the bank before training
_PAIR_NOTES = {"hoi_purity": "same HOI class", "verb_purity": "same verb, among those of the same object"}
_BANK_NOTES = {"object_precision": "same object", "verb_precision": "same verb"}
Done = Callable[[int], None]
Panels = dict[str, EmbeddedPoints]


@dataclass(frozen=True)
class EmbeddedRuns:
    """Representations by variant, one per seed, all of the same M pairs.

    `labels` int64 [M]: HOI class that each pair shows, -1 for none; `prompts` [H, D]: the bank before training.
    """

    vocabulary: Vocabulary
    runs: dict[str, list[SplitRepresentations]]
    labels: IntArray
    prompts: FloatArray


@dataclass(frozen=True)
class EmbeddingFigures:
    """`pairs` and `bank` are PNG bytes; `separation` is what `separation.json` holds."""

    pairs: bytes
    bank: bytes
    separation: dict[str, Any]


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
        vocabulary=vocabulary,
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
    labels = shown_classes(
        first.image_index, first.human_boxes, first.object_boxes, first.object_ids, truth, vocabulary
    )
    return EmbeddedRuns(vocabulary, runs, labels, prompts)


def embedding_figures(opened: EmbeddedRuns, params: TsneParams, done: Done) -> EmbeddingFigures:
    """Draw the first seed of every variant and measure all seeds.

    Args:
        done: called with 1 after each panel.

    Raises:
        DataError: fewer than two HOI classes among the pairs.
    """
    rows = sample_pairs(opened.labels, params)
    num_classes = len(np.unique(opened.labels[rows]))
    if num_classes < 2:
        raise DataError(
            f"the kept pairs show {num_classes} annotated HOI classes, two are needed; "
            "raise represent.pairs_per_image or look at the proposals"
        )
    pairs, pairs_table = _pair_part(opened, rows, params, done)
    bank, bank_table = _bank_part(opened, params, done)
    return EmbeddingFigures(
        pairs=draw_embedding(pairs, opened.vocabulary, named=False),
        bank=draw_embedding(bank, opened.vocabulary, named=True),
        separation={"pairs": pairs_table, "bank": bank_table},
    )


def sample_pairs(labels: IntArray, params: TsneParams) -> IntArray:
    """Rows of at most `num_classes` HOI classes, at most `samples_per_class` of each, at random, int64, ascending.

    Args:
        labels: HOI class of each pair, int64 [M]; -1 is never drawn.
    """
    shown = np.unique(labels[labels >= 0])
    if len(shown) > params.num_classes:
        shown = numpy_generator(params.seed, "tsne", "classes").choice(shown, params.num_classes, replace=False)
    rows = [np.zeros(0, np.int64)]
    for hoi_id in np.sort(shown).tolist():
        members = np.flatnonzero(labels == hoi_id)
        if len(members) > params.samples_per_class:
            generator = numpy_generator(params.seed, "tsne", "samples", hoi_id)
            members = generator.choice(members, params.samples_per_class, replace=False)
        rows.append(members)
    return np.sort(np.concatenate(rows))


def project(points: NDArray[np.floating], params: TsneParams) -> NDArray[np.float64]:
    """t-SNE (van der Maaten & Hinton, 2008) of points [n, D] to [n, 2], started from their principal components.

    One thread: the order of its sums, and with it the picture, would otherwise depend on the number of cores. With few
    points the perplexity is lowered to a third of them. Fewer than four points lie on a line.
    """
    if len(points) < 4:
        return np.stack([np.arange(len(points)), np.zeros(len(points))], 1).astype(np.float64)
    solver = TSNE(
        n_components=2,
        perplexity=min(params.perplexity, (len(points) - 1) / 3),
        init="pca",
        random_state=params.seed,
        n_jobs=1,
    )
    with threadpool_limits(1):
        return np.asarray(solver.fit_transform(np.ascontiguousarray(points, np.float32)), np.float64)


def _pair_part(opened: EmbeddedRuns, rows: IntArray, params: TsneParams, done: Done) -> tuple[Panels, dict[str, Any]]:
    """Panels of the pair representations, and their measures."""
    first, hoi_ids = next(iter(opened.runs.values()))[0], opened.labels[rows]
    images = first.image_index[rows]

    def measured(split: SplitRepresentations, neighbors: int | None) -> dict[str, float]:
        return pair_measures(split.representation[rows], hoi_ids, images, opened.vocabulary, neighbors)

    panels, tables = {}, {}
    for variant, splits in opened.runs.items():
        tables[variant] = over_seeds([measured(split, params.neighbors) for split in splits])
        places = project(splits[0].representation[rows], params)
        panels[variant] = EmbeddedPoints(places, hoi_ids, _note(tables[variant], _PAIR_NOTES))
        done(1)
    chance = {name: rounded(value) for name, value in measured(first, None).items()}
    counts = {"pairs": len(rows), "classes": len(np.unique(hoi_ids)), "neighbors": params.neighbors}
    return panels, counts | {"chance": chance} | tables


def _bank_part(opened: EmbeddedRuns, params: TsneParams, done: Done) -> tuple[Panels, dict[str, Any]]:
    """Panels of the knowledge banks, one row per HOI class, and their measures."""
    prompts, vocabulary = opened.prompts, opened.vocabulary
    banks: dict[str, list[NDArray[np.floating]]] = {INITIAL: [prompts]}
    banks |= {variant: [split.bank for split in splits] for variant, splits in opened.runs.items()}
    panels, tables = {}, {}
    for title, of_seeds in banks.items():
        tables[title] = over_seeds([bank_measures(bank, vocabulary) for bank in of_seeds])
        places = project(unit_rows(of_seeds[0]), params)
        shown = "prompts, before training" if title == INITIAL else title
        panels[shown] = EmbeddedPoints(places, np.arange(len(places)), _note(tables[title], _BANK_NOTES))
        done(1)
    by_chance = bank_measures(prompts, vocabulary, at_random=True)
    chance = {name: rounded(value) for name, value in by_chance.items()}
    return panels, {"classes": len(prompts), "chance": chance} | tables


def _note(table: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """Share of nearest neighbors of the same kind, in percent, before the projection."""
    shares = []
    for key, text in names.items():
        values = (table[key]["mean"], table[key]["sd"])
        estimate = Estimate(*(np.nan if value is None else 100 * value for value in values))
        if not np.isnan(estimate.mean):
            shares.append(f"{text} {estimate.text(decimals=0)} %")
    return "nearest neighbors: " + ",\n".join(shares) if shares else ""
