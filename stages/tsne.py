"""`tsne`: pair representations and knowledge banks of several runs, to pictures (Fig. 4 and 5) and measures."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.config.layout import Layout
from pipeline.config.params import load_figure_seeds, load_figure_variants, load_params
from pipeline.config.run import Run
from pipeline.core.errors import ParamError
from pipeline.core.names import MAX_SEED
from pipeline.report.embedding import embedding_figures, open_embedded_runs
from pipeline.report.params import TsneParams
from pipeline.store.files import write_bytes, write_json
from pipeline.store.stage_run import StageRun
from stages._command import dataset_option, progress, root_option, split_names, stage_command


@stage_command("tsne", help="Draw t-SNE of pair representations and knowledge banks, and measure their separation.")
@dataset_option
@click.option(
    "--variant",
    "variants",
    multiple=True,
    show_default="figure_variants of params.yaml",
    help="A row of params.yaml: variants; repeat, or separate by commas.",
)
@click.option(
    "--seed",
    "seed_texts",
    multiple=True,
    show_default="figure_seeds of params.yaml",
    help="A run seed; repeat, or separate by commas.",
)
@root_option
def command(dataset: str, variants: tuple[str, ...], seed_texts: tuple[str, ...], root: Path) -> None:
    """Label the pairs of all runs by the ground truth, draw the first seed, measure every seed."""
    layout = Layout(root, dataset)
    names = split_names(variants) or load_figure_variants(layout.params)
    seeds = _seeds(seed_texts) or load_figure_seeds(layout.params)
    for name in names:  # a wrong one is named before anything is read
        load_params(layout.params, dataset, Run.parse(name))
    arguments = {"variant": ",".join(names), "seed": ",".join(map(str, seeds))}
    with StageRun("tsne", layout, None, arguments) as stage:
        params = stage.params(TsneParams)
        opened = open_embedded_runs(stage.inputs, names, seeds)
        with progress(2 * len(names) + 1, "tsne", unit="panel") as advance:
            figures = embedding_figures(opened, params, advance)
        outputs = [layout.tsne("pairs"), layout.tsne("bank"), layout.separation]
        write_bytes(outputs[0], figures.pairs)
        write_bytes(outputs[1], figures.bank)
        write_json(outputs[2], {"dataset": dataset, "seeds": list(seeds), **figures.separation})
        labeled = int((opened.labels >= 0).sum())
        counts = {"variants": len(names), "seeds": len(seeds), "labeled_pairs": labeled}
        stage.finish(outputs, counts, seed=params.seed)
    for name in names:
        pairs = {key: value["mean"] for key, value in figures.separation["pairs"][name].items()}
        click.echo(f"{name}: " + "  ".join(f"{key} {value}" for key, value in pairs.items()))
    click.echo(f"{outputs[0]}, {outputs[1]}, {outputs[2]}: seeds {', '.join(map(str, seeds))}")


def _seeds(texts: tuple[str, ...]) -> tuple[int, ...]:
    numbers = [number for text in texts for number in text.split(",")]
    if wrong := [text for text in numbers if not text.isdecimal() or int(text) > MAX_SEED]:
        raise ParamError(f'--seed: "{wrong[0]}" is not a run seed; expected whole numbers up to {MAX_SEED}, e.g. 0,1,2')
    return tuple(map(int, numbers))


if __name__ == "__main__":
    command()
