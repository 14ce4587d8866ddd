"""`fusion-weight`: mAP by the weight of the global score, over all pairs and over the best ones alone."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.config.layout import Layout
from pipeline.config.params import load_params
from pipeline.config.run import Run
from pipeline.evaluation.fusion_weight import KINDS, WEIGHTS, sweep_fusion_weight
from pipeline.evaluation.params import EvaluateParams
from pipeline.evaluation.scored_split import ScoredSplit
from pipeline.store.files import write_text
from pipeline.store.inputs import StageInputs
from stages._command import RUN_SEED, dataset_option, root_option, stage_command


@stage_command("fusion-weight", help="Sweep the exponent of sigmoid(s_g) over seeded runs of a study.")
@dataset_option
@click.option("--variant", "variants", multiple=True, required=True, help="A row that was trained; repeat for more.")
@click.option("--seed", "seeds", type=RUN_SEED, multiple=True, required=True, help="A seed of theirs; repeat for more.")
@root_option
def command(dataset: str, variants: tuple[str, ...], seeds: tuple[int, ...], root: Path) -> None:
    """Write one CSV row per run, kind of pairs, and weight; print the means over seeds."""
    layout = Layout(root, dataset)
    own = {name: load_params(layout.params, dataset, Run.parse(name))[EvaluateParams] for name in variants}
    split = ScoredSplit.open(StageInputs(layout), "test")
    lines = ["variant,seed,pairs,weight,full"]
    for variant, params in own.items():
        sweeps = []
        for seed in seeds:
            dump = split.open_predictions(Run.parse(variant, seed=seed))
            sweeps.append(sweep_fusion_weight(dump, params, split.annotated.truth))
            lines += [f"{variant},{seed},{kind},{weight:g},{full:.4f}" for (kind, weight), full in sweeps[-1].items()]
        for kind in KINDS:
            means = (sum(sweep[kind, weight] for sweep in sweeps) / len(sweeps) for weight in WEIGHTS)
            text = "  ".join(f"{weight:g}: {mean:.2f}" for weight, mean in zip(WEIGHTS, means, strict=True))
            click.echo(f"{variant}, {kind} pairs, mAP by weight of s_g, {len(seeds)} seeds: {text}")
    write_text(layout.fusion_weight, "\n".join(lines) + "\n")


if __name__ == "__main__":
    command()
