"""Stored features: what is read is what was written, as zarr reads it too; all else is refused by name."""

import math
import pickle
import shutil
import tracemalloc

import numpy as np
import pytest
import zarr

from pipeline.core.errors import ArtifactError
from pipeline.core.types import ImageRecord
from pipeline.store.features_file import open_features, write_features
from pipeline.store.ragged import Column

SHAPES = ((3,), (2, 2), (1, 2, 3))
ENCODER = {"backbone": "clip_vit", "image size": "64", "weights": "abc"}


def records(count: int) -> list[ImageRecord]:
    return [ImageRecord(f"image {row}", f"{row}.png", 10, 10, f"{row:064x}"[::-1]) for row in range(count)]


def written(path, count: int, *, views=2, dtype="float16", seed=0):
    """Random features of some images, in a file that was made from pieces of five images."""
    values = np.random.default_rng(seed).normal(size=(count, views, 13)).astype(dtype)
    pieces = [values[low : low + 5] for low in range(0, count, 5)]
    write_features(
        path,
        Column(values.shape, values.dtype, lambda: pieces),
        images=records(count),
        encoder=ENCODER,
        shapes=SHAPES,
    )
    return values


def opened(path, count: int, **changes):
    return open_features(
        path, images=changes.pop("images", records(count)), encoder=ENCODER | changes, remedy='run "it"'
    )


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize(("count", "views"), [(0, 2), (1, 1), (15, 2), (16, 1), (17, 2), (40, 2)])
def test_every_image_comes_back(tmp_path, count, views, dtype, seed):
    path = tmp_path / "features.zarr"
    values = written(path, count, views=views, dtype=dtype, seed=seed)
    found = pickle.loads(pickle.dumps(opened(path, count)))  # as a worker of the loader gets it
    assert (len(found), found.mirrored, found.shapes) == (count, views == 2, SHAPES)
    for image in reversed(range(count)):
        assert found.image(image).dtype == dtype
        assert np.array_equal(found.image(image), values[image])
    assert np.array_equal(zarr.open_group(path, mode="r")["features"][:], values)


def test_reading_an_image_takes_the_memory_of_one(tmp_path):
    values = np.zeros((64, 1, 100_000), np.float32)
    path = tmp_path / "features.zarr"
    write_features(path, Column.of(values), images=records(64), encoder=ENCODER, shapes=((100_000,),))
    tracemalloc.start()
    found = opened(path, 64)
    found.image(63)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * values[0].nbytes


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"weights": "xyz"}, 'encoder\'s weights is "abc", expected "xyz"'),
        ({"image size": "96"}, 'encoder\'s image size is "64", expected "96"'),
        ({"params.regions": "values"}, 'encoder\'s params.regions is "none", expected "values"'),
        ({"images": records(9)}, "has 10 images, expected 9"),
        ({"images": [*records(9), ImageRecord("image 9", "9.png", 10, 10, "f" * 64)]}, "images row 9 is"),
    ],
)
def test_other_encoders_and_images_are_refused(tmp_path, changes, part):
    path = tmp_path / "features.zarr"
    written(path, 10)
    with pytest.raises(ArtifactError) as refusal:
        opened(path, 10, **changes)
    assert str(refusal.value).startswith(f"{path}: {part}")
    assert str(refusal.value).endswith('it was made from other inputs: run "it"')


def truncate(path):
    shard = path / "features/c/1/0/0"
    shard.write_bytes(shard.read_bytes()[:40])


def cut_middle(path):
    shard = path / "features/c/1/0/0"
    shard.write_bytes(shard.read_bytes()[100:])


def lose(path):
    (path / "features/c/0/0/0").unlink()


def compress(path):
    group = zarr.open_group(path, mode="a")
    values = group["features"][:]
    shutil.rmtree(path / "features")
    group.create_array("features", data=values, chunks=(1, 2, 13), shards=(16, 2, 13))


def reshape(path):
    zarr.open_group(path, mode="a").attrs["shapes"] = [[3]]


def forget(path):
    del zarr.open_group(path, mode="a").attrs["encoder"]


@pytest.mark.parametrize("damage", [truncate, cut_middle, lose, compress, reshape, forget, shutil.rmtree])
def test_damage_is_one_line(tmp_path, damage):
    path = tmp_path / "features.zarr"
    written(path, 20)
    damage(path)
    with pytest.raises(ArtifactError, match=r"(damaged or not stored features \(.*\)|does not exist); run \"it\"$"):
        opened(path, 20)


def test_damage_after_opening_is_one_line(tmp_path):
    path = tmp_path / "features.zarr"
    written(path, 20)
    found = opened(path, 20)
    truncate(path)
    with pytest.raises(ArtifactError, match=r'too short.*run "it"$'):
        found.image(17)


def test_size_on_disk_is_that_of_the_values(tmp_path):
    """What the stage says before it starts."""
    path = tmp_path / "features.zarr"
    count, width = 32, 20_000
    write_features(
        path,
        Column.of(np.zeros((count, 1, width), np.float16)),
        images=records(count),
        encoder=ENCODER,
        shapes=((width,),),
    )
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    assert math.isclose(size, count * width * 2, rel_tol=0.01)
