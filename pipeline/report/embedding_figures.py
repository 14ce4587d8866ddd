"""Fig. 4 and 5 of the paper (App. A and D) from several runs: two pictures, and the numbers behind them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.core.errors import DataError
from pipeline.core.types import FloatArray, IntArray
from pipeline.core.vocabulary import Vocabulary
from pipeline.report.embedding import project, sample_pairs
from pipeline.report.embedding_plot import EmbeddedPoints, draw_embedding
from pipeline.report.params import TsneParams
from pipeline.report.separation_table import bank_measures, over_seeds, pair_measures, rounded
from pipeline.store.representations_file import SplitRepresentations

INITIAL = "prompts"  # the bank before training
Done = Callable[[int], None]
Runs = Mapping[str, Sequence[SplitRepresentations]]


@dataclass(frozen=True)
class EmbeddingFigures:
    """`pairs` and `bank` are PNG bytes; `separation` is what `separation.json` holds."""

    pairs: bytes
    bank: bytes
    separation: dict[str, Any]


def embedding_figures(
    runs: Runs,
    labels: IntArray,
    prompts: FloatArray,
    vocabulary: Vocabulary,
    params: TsneParams,
    done: Done,
) -> EmbeddingFigures:
    """Draw the first seed of every variant and measure all seeds.

    Args:
        runs: by variant, a file per seed; all hold the same pairs.
        labels: HOI class of each of these pairs, int64 [M], -1 where it shows none.
        prompts: knowledge bank as CLIP's text encoder makes it, [H, D].
        done: told of each finished panel.

    Raises:
        DataError: fewer than two HOI classes among the pairs.
    """
    rows = sample_pairs(labels, params)
    if len(np.unique(labels[rows])) < 2:
        raise DataError(
            f"the kept pairs show {len(np.unique(labels[rows]))} annotated HOI classes, two are needed; "
            "raise represent.pairs_per_image or look at the proposals"
        )
    pairs, pairs_table = _pair_part(runs, labels, rows, vocabulary, params, done)
    bank, bank_table = _bank_part(runs, prompts, vocabulary, params, done)
    return EmbeddingFigures(
        pairs=draw_embedding(pairs, vocabulary, named=False),
        bank=draw_embedding(bank, vocabulary, named=True),
        separation={"pairs": pairs_table, "bank": bank_table},
    )


def _pair_part(
    runs: Runs,
    labels: IntArray,
    rows: IntArray,
    vocabulary: Vocabulary,
    params: TsneParams,
    done: Done,
) -> tuple[dict[str, EmbeddedPoints], dict[str, Any]]:
    hoi_ids = labels[rows]
    panels, tables, images = {}, {}, next(iter(runs.values()))[0].image_index[rows]

    def measured(split: SplitRepresentations, neighbours: int | None) -> dict[str, float]:
        return pair_measures(split.representation[rows], hoi_ids, images, vocabulary, neighbours)

    for variant, splits in runs.items():
        table = over_seeds([measured(split, params.neighbours) for split in splits])
        places = project(splits[0].representation[rows], params)
        panels[variant] = EmbeddedPoints(places, hoi_ids, _note(table, _PAIR_NOTES))
        tables[variant] = table
        done(1)
    chance = measured(next(iter(runs.values()))[0], None)
    counts = {"pairs": len(rows), "classes": len(np.unique(hoi_ids)), "neighbours": params.neighbours}
    return panels, counts | {"chance": {name: rounded(value) for name, value in chance.items()}} | tables


def _bank_part(
    runs: Runs, prompts: FloatArray, vocabulary: Vocabulary, params: TsneParams, done: Done
) -> tuple[dict[str, EmbeddedPoints], dict[str, Any]]:
    banks: dict[str, list[NDArray[np.floating]]] = {INITIAL: [prompts]}
    banks |= {variant: [split.bank for split in splits] for variant, splits in runs.items()}
    panels, tables = {}, {}
    for title, of_seeds in banks.items():
        table = over_seeds([bank_measures(bank, vocabulary)[0] for bank in of_seeds])
        first = of_seeds[0] / np.maximum(np.linalg.norm(of_seeds[0], axis=1, keepdims=True), 1e-12)
        panels["prompts, before training" if title == INITIAL else title] = EmbeddedPoints(
            project(first, params), np.arange(len(first)), _note(table, _BANK_NOTES)
        )
        tables[title] = table
        done(1)
    chance = {name: rounded(value) for name, value in bank_measures(prompts, vocabulary)[1].items()}
    return panels, {"classes": len(prompts), "chance": chance} | tables


_PAIR_NOTES = {"hoi_purity": "same HOI class", "verb_purity": "same verb, among those of the same object"}
_BANK_NOTES = {"object_precision": "same object", "verb_precision": "same verb"}


def _note(table: Mapping[str, Any], names: Mapping[str, str]) -> str:
    """Share of nearest neighbours of the same kind, in percent, before the projection."""
    shares = []
    for key, text in names.items():
        mean, deviation = table[key]["mean"], table[key]["sd"]
        if mean is not None:
            spread = "" if deviation is None else f" ± {100 * deviation:.0f}"
            shares.append(f"{text} {100 * mean:.0f}{spread} %")
    return "nearest neighbours: " + ",\n".join(shares) if shares else ""
