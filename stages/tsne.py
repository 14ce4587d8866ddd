"""`tsne`: pair representations and knowledge banks of several runs, to pictures (Fig. 4 and 5) and measures."""

from __future__ import annotations

from pathlib import Path

import click

from stages._command import dataset_option, progress, root_option, split_names, stage_command


@stage_command(
    "tsne", one_of=(), help="Draw t-SNE of pair representations and knowledge banks, and measure their separation."
)
@dataset_option
@click.option("--variant", "variants", multiple=True, help="Repeat, or separate by commas; default: figure_variants.")
@click.option("--seed", "seed_texts", multiple=True, help="Repeat, or separate by commas; default: figure_seeds.")
@root_option
def command(dataset: str, variants: tuple[str, ...], seed_texts: tuple[str, ...], root: Path) -> None:
    """Label the pairs of all runs by the ground truth, draw the first seed, measure every seed."""
    from pipeline.core.errors import ArtifactError, ParamError
    from pipeline.core.layout import Layout, run_name
    from pipeline.core.names import MAX_SEED
    from pipeline.core.params import load_figure_seeds, load_figure_variants, load_params
    from pipeline.data.split import read_split
    from pipeline.evaluation.pair_labels import label_pairs
    from pipeline.report.embedding import embedding_figures
    from pipeline.store.bank_file import read_bank
    from pipeline.store.files import atomic_path, write_json
    from pipeline.store.inputs import StageInputs
    from pipeline.store.manifests import write_stage_manifest
    from pipeline.store.representations_file import read_representations
    from pipeline.store.vocabulary_file import read_vocabulary
    from pipeline.truth.ground_truth_file import read_ground_truth

    layout = Layout(root, dataset)
    names = split_names(variants) or load_figure_variants(layout.params)
    numbers = [text for texts in seed_texts for text in texts.split(",")]
    if wrong := [text for text in numbers if not text.isdecimal() or int(text) > MAX_SEED]:
        raise ParamError(f'--seed: "{wrong[0]}" is not a run seed; expected whole numbers up to {MAX_SEED}, e.g. 0,1,2')
    seeds = tuple(map(int, numbers)) or load_figure_seeds(layout.params)
    # Loaded for each name, so that a wrong one is said before anything is read.
    params = {name: load_params(layout.params, dataset, name).tsne for name in names}[names[0]]
    inputs = StageInputs(layout)
    vocabulary = read_vocabulary(inputs.take(layout.vocabulary, "prepare"))
    manifest = read_split(inputs.take(layout.split("test"), "prepare"), vocabulary)
    truth = read_ground_truth(inputs.take(layout.ground_truth("test"), "prepare"), manifest, vocabulary.num_hois).truth
    prompts = read_bank(
        inputs.take(layout.knowledge_bank, "encode_prompts"),
        num_hois=vocabulary.num_hois,
        remedy=f'run "weakhoi encode-prompts --dataset {dataset}"',
    ).hoi_embeddings
    runs = {}
    for name in names:
        runs[name] = [
            read_representations(
                inputs.take(layout.representations(run), "represent", run, "test"),
                image_ids=manifest.image_ids,
                num_hois=vocabulary.num_hois,
                remedy=f'run "weakhoi represent --dataset {dataset} --variant {name} --seed {seed}"',
            )
            for seed in seeds
            for run in [run_name(name, seed)]
        ]
    first = runs[names[0]][0]
    for name, splits in runs.items():
        for seed, split in zip(seeds, splits, strict=True):
            if not split.same_pairs(first):
                raise ArtifactError(
                    f"{layout.representations(run_name(name, seed))}: holds other pairs than {first.run}'s "
                    f'({len(split)} and {len(first)}); run "weakhoi represent" for both from the same proposals'
                )
    labels = label_pairs(first.image_index, first.human_boxes, first.object_boxes, first.object_ids, truth, vocabulary)
    with progress(2 * len(names) + 1, "tsne", unit="panel") as advance:
        figures = embedding_figures(runs, labels, prompts, vocabulary, params, advance)
    outputs = [layout.tsne("pairs"), layout.tsne("bank"), layout.separation]
    for path, png in zip(outputs, (figures.pairs, figures.bank), strict=False):
        with atomic_path(path) as temporary:
            temporary.write_bytes(png)
    write_json(layout.separation, {"dataset": dataset, "seeds": list(seeds), **figures.separation})
    write_stage_manifest(
        layout.stage_manifest("tsne"),
        root=root,
        stage="tsne",
        arguments={"dataset": dataset, "variant": ",".join(names), "seed": ",".join(map(str, seeds))},
        inputs=inputs.digests,
        params={"tsne": params},
        outputs=outputs,
        counts={"variants": len(names), "seeds": len(seeds), "labelled_pairs": int((labels >= 0).sum())},
        seed=params.seed,
    )
    for name in names:
        pairs = {key: value["mean"] for key, value in figures.separation["pairs"][name].items()}
        click.echo(f"{name}: " + "  ".join(f"{key} {value}" for key, value in pairs.items()))
    click.echo(f"{outputs[0]}, {outputs[1]}, {outputs[2]}: seeds {', '.join(map(str, seeds))}")


if __name__ == "__main__":
    command()
