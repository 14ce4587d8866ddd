"""Peak memory of `infer` on one image of a crowd, at HICO-DET's sizes: every person is paired with every other.

    python -m benchmarks.crowd [--method ppr_fcn] [--json result.json]

One image of 448 pixels, RN50, 80 categories, 117 verbs, 600 HOI classes, random weights and boxes; `--people` of
them, and no other proposal. Each number of people runs in a process of its own. `ratio` is the peak of the last crowd
over that of the one before: 1 is flat. First, 25 people (600 pairs) are computed in chunks and at once: `difference` is
the largest of any number, over the largest number of its output.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from torch.nn import functional

from benchmarks.measure import ROOT, describe_machine, json_option, peak_resident_bytes, seconds_of, write_report
from benchmarks.synthetic_bags import random_bags, random_model, vocabulary_of
from pipeline.backbones.clip_resnet import VisualConfig
from pipeline.config.params import load_params
from pipeline.inference.pair_outputs import batch_outputs
from pipeline.methods import pair_chunks
from pipeline.methods.params import ModelParams

RN50 = VisualConfig((3, 4, 6, 3), 64, 32, 1024, 224)
_CPU = torch.device("cpu")
_COMPARED = 25  # people


def prepare_image(people: int, method: str, visual: VisualConfig = RN50) -> Callable[[], object]:
    """`infer` on one image of so many people; an image of two has run before."""
    torch.manual_seed(0)
    torch.use_deterministic_algorithms(True)  # as every stage does
    vocabulary = vocabulary_of("hicodet")
    params = replace(load_params(ROOT / "params.yaml", "hicodet")[ModelParams], method=method)
    model = random_model(visual.build(), params, vocabulary)
    model.network.eval()

    def outputs(count: int) -> Callable[[], object]:
        categories = torch.full((1, count), vocabulary.human_object_id)
        bags = random_bags(torch.randn(1, 3, params.image_size, params.image_size), vocabulary, categories)
        if model.method.needs_class_probabilities:
            bags = replace(
                bags, class_probabilities=functional.one_hot(bags.object_ids, vocabulary.num_objects).float()
            )
        return partial(batch_outputs, model, vocabulary, bags, _CPU)

    outputs(2)()
    return outputs(people)


def measure(people: int, method: str, visual: VisualConfig = RN50) -> dict[str, float]:
    """Pairs, peak memory above weights and inputs, and seconds of one image."""
    return {
        "people": people,
        "pairs": people * (people - 1),
        "peak_mib": peak_resident_bytes(prepare_image, people, method, visual) / 2**20,
        "seconds": seconds_of(prepare_image(people, method, visual)),
    }


def largest_difference(people: int, method: str, visual: VisualConfig = RN50) -> float:
    """Of the outputs of one image in chunks to those at once, over the largest number of each output."""
    run: Any = prepare_image(people, method, visual)
    cut, budget = run(), pair_chunks.CHUNK_BYTES
    pair_chunks.CHUNK_BYTES = 2**62
    whole = run()
    pair_chunks.CHUNK_BYTES = budget
    return max(
        float(abs(cut[name] - values).max() / abs(values).max())
        for name, values in whole.items()
        if values.dtype == np.float32
    )


@click.command(help=__doc__)
@json_option
@click.option("--people", multiple=True, type=click.IntRange(2), default=(10, 30, 60, 100), show_default=True)
@click.option("--method", default="bilevel", show_default=True, help="A file or folder of pipeline/methods.")
@click.option("--smoke", "tiny", is_flag=True, help="A tiny encoder, to run the script through.")
def command(output: Path | None, people: tuple[int, ...], method: str, tiny: bool) -> None:
    """Measure, print a line each, write the figures."""
    machine, visual = describe_machine(), VisualConfig((1, 1, 1, 1), 8, 4, 24, 64) if tiny else RN50
    difference = largest_difference(_COMPARED, method, visual)
    print(f"{method}, {_COMPARED} people: largest difference to the whole at once {difference:.1e}", flush=True)
    rows = []
    for count in people:
        rows.append(row := measure(count, method, visual))
        print(
            f"{method}, {count} people, {row['pairs']} pairs: {row['peak_mib']:.0f} MiB, {row['seconds']:.1f} s",
            flush=True,
        )
    ratio = rows[-1]["peak_mib"] / rows[-2]["peak_mib"] if len(rows) > 1 else 1.0
    report = {"ratio": ratio, "method": method, "difference": difference, "images": rows}
    write_report({**report, "machine": machine}, output)


if __name__ == "__main__":
    command()
