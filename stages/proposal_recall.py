"""`proposal_recall`: how many annotated boxes and pairs of a split are among its proposals, overall and by category."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pipeline.config.layout import Layout
from pipeline.config.params import load_params
from pipeline.evaluation.proposal_recall import proposal_recall, recall_table
from pipeline.evaluation.scored_split import ScoredSplit
from pipeline.inference.params import InferParams
from pipeline.store.files import write_json
from pipeline.store.inputs import StageInputs
from pipeline.store.proposals_file import read_proposals
from stages._command import dataset_option, root_option, split_option, stage_command


@stage_command(
    "proposal-recall",
    help="Count the annotated boxes and pairs of a split that are among its proposals (the right category, IoU of at "
    "least 0.5): no method finds the others. Writes results/DATASET/proposal_recall/SPLIT.json.",
)
@dataset_option
@split_option("val", "test", default="test")
@click.option(
    "--max-proposals",
    "limit",
    type=click.IntRange(min=1),
    default=None,
    show_default="infer.max_proposals",
    help="Of an image, the best by score.",
)
@root_option
def command(dataset: str, split: str, limit: int | None, root: Path) -> None:
    """Print a table with a row for each category, and write the figures."""
    layout = Layout(root, dataset)
    limit = limit or load_params(layout.params, dataset)[InferParams].max_proposals
    scored = ScoredSplit.open(StageInputs(layout), split)
    vocabulary, manifest = scored.vocabulary, scored.manifest
    path = scored.inputs.take(layout.proposals(split), "detect", split)
    proposals = read_proposals(path, image_ids=manifest.image_ids, objects=vocabulary.objects)
    boxes, pairs = proposal_recall(proposals, scored.annotated.truth, vocabulary, limit)
    figures = recall_table(boxes, pairs, vocabulary)
    click.echo(f"{'':20} {'boxes':>18} {'pairs':>18}")
    for name, row in {"all": figures, **figures["categories"]}.items():
        click.echo(f"{name:20} {_shown(row['boxes']):>18} {_shown(row['pairs']):>18}")
    settings = {"dataset": dataset, "split": split, "detector": proposals.detector, "max_proposals": limit}
    write_json(layout.proposal_recall(split), settings | {"images": len(manifest)} | figures)


def _shown(figures: dict[str, Any]) -> str:
    if figures["recall"] is None:
        return "none"
    return f"{figures['recall']:.1f} % of {figures['annotated']}"


if __name__ == "__main__":
    command()
