"""`fusion-weight`: mAP by the weight of the global score, over all pairs and over the best ones alone."""

from __future__ import annotations

from pathlib import Path

import click

from stages._command import RUN_SEED, dataset_option, root_option, stage_command


@stage_command("fusion-weight", help="Sweep the exponent of sigmoid(s_g) over seeded runs of a study.")
@dataset_option
@click.option("--variant", "variants", multiple=True, required=True, help="A row that was trained; repeat for more.")
@click.option("--seed", "seeds", type=RUN_SEED, multiple=True, required=True, help="A seed of theirs; repeat for more.")
@root_option
def command(dataset: str, variants: tuple[str, ...], seeds: tuple[int, ...], root: Path) -> None:
    """Write one CSV row per run, kind of pairs, and weight; print the means over seeds."""
    from pipeline.core.layout import Layout
    from pipeline.core.params import load_params
    from pipeline.evaluation.fusion_weight import KINDS, WEIGHTS, sweep_fusion_weight
    from pipeline.store.files import write_text
    from stages._scored_run import ScoredSplit

    layout = Layout(root, dataset)
    own = {name: load_params(layout.params, dataset, name).evaluate for name in variants}
    splits = [ScoredSplit.open(layout, "test", seed) for seed in seeds]
    lines = ["variant,seed,pairs,weight,full"]
    for variant, params in own.items():
        sweeps = []
        for split in splits:
            truth, rare = split.annotated.truth, split.annotated.rare
            sweeps.append(sweep_fusion_weight(split.open_predictions(variant).read(), params, truth, rare))
            found = sweeps[-1].items()
            lines += [f"{variant},{split.seed},{kind},{weight:g},{full:.4f}" for (kind, weight), full in found]
        for kind in KINDS:
            means = (sum(sweep[kind, weight] for sweep in sweeps) / len(sweeps) for weight in WEIGHTS)
            text = "  ".join(f"{weight:g}: {mean:.2f}" for weight, mean in zip(WEIGHTS, means, strict=True))
            click.echo(f"{variant}, {kind} pairs, mAP by weight of s_g, {len(seeds)} seeds: {text}")
    write_text(layout.fusion_weight, "\n".join(lines) + "\n")


if __name__ == "__main__":
    command()
