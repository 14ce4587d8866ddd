"""How large a prediction dump is, and how fast it is written and read.

    python -m benchmarks.dump [--images 500] [--dump cache/toyworld/predictions/ours.zarr] [--json result.json]

`ratio` is what the same numbers take as plain 4-byte values over what the dump takes on disk: above 1, the dump is
smaller. The floor of time is a plain copy: the same arrays by np.save and np.load, files in the same folder, neither
flushed to the disk. `write` and `read` hold paired runs of both; `floor_ratio` is our time of a write and a read over
the copy's. `read by ranges` reads the dump as `evaluate` does, 256 images at a time.

Without --dump the numbers are random normal logits of HICO-DET's sizes, 117 verbs and 600 HOI classes: the hardest to
compress. Real logits of a split are those of a dump that `infer` wrote.
"""

from __future__ import annotations

import statistics
import tempfile
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray

from benchmarks.measure import Paired, bytes_under, describe_machine, json_option, measure_pairs, write_report
from benchmarks.synthetic_bags import vocabulary_of
from pipeline.methods.bilevel.method import Bilevel
from pipeline.methods.bilevel.params import BilevelParams
from pipeline.store.dump import PredictionDump, open_dump, read_dump, write_dump
from pipeline.store.ragged import offsets_of

_PROPOSALS, _HUMANS = 20, 6  # of an image: 114 pairs
_VALUE_BYTES = 4
_IMAGES_AT_ONCE = 256


def random_dump(num_images: int, rng: np.random.Generator) -> PredictionDump:
    """A dump of HICO-DET's sizes whose logits can't be guessed from one another."""
    pairs = [(human, partner) for human in range(_HUMANS) for partner in range(_PROPOSALS) if human != partner]
    human_index, object_index = np.tile(np.array(pairs, np.int64).T, num_images)
    proposals, rows = num_images * _PROPOSALS, len(human_index)
    corners = rng.random((proposals, 2, 2), dtype=np.float32) * 640
    vocabulary = vocabulary_of("hicodet")
    columns = Bilevel(BilevelParams()).columns
    per = {"image": num_images, "pair": rows}
    return PredictionDump(
        vocabulary=vocabulary,
        image_ids=tuple(f"HICO_test2015_{index:08d}" for index in range(num_images)),
        variant="ours",
        columns=columns,
        outputs={
            column.name: rng.standard_normal((per[column.per], *column.width(vocabulary)), dtype=np.float32)
            for column in columns
        },
        proposal_offsets=offsets_of(np.full(num_images, _PROPOSALS)),
        boxes=np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1),
        proposal_scores=rng.random(proposals, dtype=np.float32),
        object_ids=rng.integers(0, vocabulary.num_objects, proposals),
        pair_offsets=offsets_of(np.full(num_images, len(pairs))),
        human_index=human_index,
        object_index=object_index,
    )


def arrays_of(dump: PredictionDump) -> dict[str, NDArray[Any]]:
    """Its arrays by name."""
    values = {item.name: getattr(dump, item.name) for item in fields(dump)}
    return {name: value for name, value in values.items() if isinstance(value, np.ndarray)} | dict(dump.outputs)


def measure(dump: PredictionDump, folder: Path, runs: int) -> dict[str, Any]:
    """Sizes, and paired runs of writing and of reading."""
    path, arrays = folder / "dump.zarr", arrays_of(dump)

    def save() -> None:
        for name, array in arrays.items():
            np.save(folder / f"{name}.npy", array)

    def load() -> list[NDArray[Any]]:
        return [np.load(folder / f"{name}.npy") for name in arrays]

    def read_ranges() -> None:
        reader = open_dump(path)
        for start in range(0, len(reader), _IMAGES_AT_ONCE):
            reader.read(start, min(start + _IMAGES_AT_ONCE, len(reader)))

    write = measure_pairs(save, lambda: write_dump(path, **vars(dump)), runs)
    read = measure_pairs(load, lambda: read_dump(path), runs)
    ranges = measure_pairs(load, read_ranges, runs)
    plain, taken = sum(array.nbytes for array in arrays.values()), bytes_under(path)
    values = _VALUE_BYTES * sum(array.size for array in arrays.values())
    copied = [mine + theirs for mine, theirs in zip(write.reference, read.reference, strict=True)]
    ours = [mine + theirs for mine, theirs in zip(write.ours, read.ours, strict=True)]
    return {
        "ratio": values / taken,
        "floor_ratio": statistics.median(mine / theirs for mine, theirs in zip(ours, copied, strict=True)),
        "images": len(dump),
        "bytes_per_image": taken / len(dump),
        "float32_bytes_per_image": values / len(dump),
        "bytes_in_memory": plain,
        "write": _rates(write, plain),
        "read": _rates(read, plain),
        "read by ranges": _rates(ranges, plain),
    }


def _rates(pair: Paired, num_bytes: int) -> dict[str, float]:
    """Median rates in MB of memory per second."""
    return pair.to_json() | {
        "mb_per_second": num_bytes / 1e6 / statistics.median(pair.ours),
        "copy_mb_per_second": num_bytes / 1e6 / statistics.median(pair.reference),
    }


@click.command(help=__doc__)
@json_option
@click.option("--dump", type=click.Path(exists=True, file_okay=False, path_type=Path), help="A dump of `infer`.")
@click.option("--images", type=click.IntRange(1), default=500, show_default=True, help="Of a random dump.")
@click.option("--runs", type=click.IntRange(1), default=5, show_default=True, help="Paired runs.")
def command(output: Path | None, dump: Path | None, images: int, runs: int) -> None:
    """Measure, print a table, write the figures."""
    machine = describe_machine()
    made = random_dump(images, np.random.default_rng(0)) if dump is None else read_dump(dump)
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(made, Path(folder), runs)
    print(
        f"{figures['images']:,} images: {figures['bytes_per_image']:,.0f} bytes each, as plain 4-byte values "
        f"{figures['float32_bytes_per_image']:,.0f}: {figures['ratio']:.2f} x"
    )
    for name in ("write", "read", "read by ranges"):
        rates = figures[name]
        print(
            f"{name:14} {rates['mb_per_second']:7.0f} MB/s, plain copy {rates['copy_mb_per_second']:7.0f} MB/s: "
            f"{1 / rates['ratio']:.1f} x its time"
        )
    measured = "zarr dump of predictions beside np.save and np.load"
    write_report({"measured": measured, **figures, "machine": machine}, output)


if __name__ == "__main__":
    command()
