"""`sweep`: mAP by the weight of one factor of the score, over all pairs and over the best ones alone."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.config.layout import Layout
from pipeline.config.params import load_params
from pipeline.config.run import Run
from pipeline.evaluation.params import EvaluateParams
from pipeline.evaluation.scored_split import ScoredSplit
from pipeline.evaluation.weight_sweep import PAIRS, factor_weights, sweep_pairs
from pipeline.store.files import write_text
from pipeline.store.inputs import StageInputs
from stages._command import RUN_SEED, dataset_option, root_option, stage_command


@stage_command("sweep", help="Sweep the weight of one factor of the score over seeded runs of a study.")
@dataset_option
@click.option("--variant", "variants", multiple=True, required=True, help="A row that was trained; repeat for more.")
@click.option("--seed", "seeds", type=RUN_SEED, multiple=True, required=True, help="A seed of theirs; repeat for more.")
@click.option(
    "--factor", default="global", show_default=True, help="One that the predictions declare, detector, or times."
)
@root_option
def command(dataset: str, variants: tuple[str, ...], seeds: tuple[int, ...], factor: str, root: Path) -> None:
    """Write one CSV row per run, kind of pairs, and weight; print the means over seeds."""
    layout, weights = Layout(root, dataset), factor_weights(factor)
    own = {name: load_params(layout.params, dataset, Run.parse(name))[EvaluateParams] for name in variants}
    split = ScoredSplit.open(StageInputs(layout), "test")
    lines = ["variant,seed,pairs,weight,full"]
    for variant, params in own.items():
        sweeps = []
        for seed in seeds:
            dump, times = split.open_predictions(Run.parse(variant, seed=seed), params)
            sweeps.append(sweep_pairs(dump, params, split.annotated.truth, factor, times))
            lines += [f"{variant},{seed},{pairs},{weight:g},{full:.4f}" for (pairs, weight), full in sweeps[-1].items()]
        for pairs in PAIRS:
            means = (sum(sweep[pairs, weight] for sweep in sweeps) / len(sweeps) for weight in weights)
            text = "  ".join(f"{weight:g}: {mean:.2f}" for weight, mean in zip(weights, means, strict=True))
            click.echo(f"{variant}, {pairs} pairs, mAP by weight of {factor}, {len(seeds)} seeds: {text}")
    write_text(layout.sweep(factor), "\n".join(lines) + "\n")


if __name__ == "__main__":
    command()
