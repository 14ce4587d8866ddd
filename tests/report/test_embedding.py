import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from pipeline.core.errors import DataError
from pipeline.core.vocabulary import Vocabulary
from pipeline.report.embedding import EmbeddedRuns, EmbeddingFigures, embedding_figures, project, sample_pairs
from pipeline.report.embedding_plot import class_looks
from pipeline.report.params import TsneParams
from pipeline.store.representations_file import SplitRepresentations

pytestmark = pytest.mark.slow

PARAMS = TsneParams(num_classes=80, samples_per_class=50, neighbors=3, perplexity=5.0, seed=0)
PAIRS, WIDTH = 40, 6
SPREADS = {"apart": 20.0, "mixed": 0.0}


def run(vocabulary: Vocabulary, seed: int, spread: float) -> SplitRepresentations:
    """A pair per image; its class, row mod H, moves its representation by `spread` along an axis of its own."""
    rng, boxes = np.random.default_rng(seed), np.tile(np.array([0, 0, 8, 8], np.float32), (PAIRS, 1))
    hoi_ids = np.arange(PAIRS) % vocabulary.num_hois
    return SplitRepresentations(
        image_ids=tuple(map(str, range(PAIRS))),
        run=f"seeds/x-{seed}",
        offsets=np.arange(PAIRS + 1),
        human_boxes=boxes,
        object_boxes=boxes,
        object_ids=vocabulary.hoi_object_ids[hoi_ids],
        representation=(rng.normal(size=(PAIRS, WIDTH)) + spread * np.eye(WIDTH)[hoi_ids]).astype(np.float32),
        bank=rng.normal(size=(vocabulary.num_hois, WIDTH)).astype(np.float32),
    )


@pytest.fixture
def draw(vocabulary):
    def figures(params=PARAMS, *, seeds=(0, 1), spreads=SPREADS, told=None) -> EmbeddingFigures:
        runs = {name: [run(vocabulary, seed, spread) for seed in seeds] for name, spread in spreads.items()}
        labels = np.arange(PAIRS) % vocabulary.num_hois
        labels[5] = -1
        opened = EmbeddedRuns(vocabulary, runs, labels, np.eye(vocabulary.num_hois, WIDTH, dtype=np.float32))
        return embedding_figures(opened, params, ([] if told is None else told).append)

    return figures


def test_equal_input_gives_equal_bytes_and_another_seed_another_picture(draw):
    one, few = {"mixed": 0.0}, dataclasses.replace(PARAMS, samples_per_class=5)
    first, other = draw(few, spreads=one), draw(dataclasses.replace(few, seed=1), spreads=one)
    assert draw(few, spreads=one) == first
    assert other.pairs != first.pairs
    for png in (first.pairs, first.bank):
        Image.open(io.BytesIO(png)).verify()


def test_numbers_tell_separated_classes_from_mixed_ones(draw):
    told = []
    table = draw(told=told).separation
    pairs = table["pairs"]
    assert (pairs["pairs"], pairs["classes"], pairs["neighbors"]) == (PAIRS - 1, 4, 3)
    assert pairs["apart"]["hoi_purity"] == {"mean": 1.0, "sd": 0.0, "seeds": [1.0, 1.0]}
    assert pairs["apart"]["verb_purity"]["mean"] == 1
    assert pairs["apart"]["hoi_silhouette"]["mean"] > 0.7 > 0.1 > pairs["mixed"]["hoi_silhouette"]["mean"]
    assert pairs["mixed"]["hoi_purity"]["mean"] == pytest.approx(pairs["chance"]["hoi_purity"], abs=0.15)
    assert pairs["chance"]["verb_purity"] == pytest.approx(0.48, abs=0.03)  # two verbs for each object
    assert set(table["bank"]) == {"classes", "chance", "prompts", "apart", "mixed"}
    assert sum(told) == 5


def test_a_single_seed_has_no_deviation(draw):
    table = draw(seeds=(0,), spreads={"apart": 20.0}).separation["pairs"]["apart"]
    assert table["hoi_purity"] == {"mean": 1.0, "sd": None, "seeds": [1.0]}


def test_pairs_of_one_class_are_refused(vocabulary):
    labels = np.where(np.arange(PAIRS) < 9, 2, -1)
    with pytest.raises(DataError, match="show 1 annotated HOI classes, two are needed"):
        embedding_figures(EmbeddedRuns(vocabulary, {"x": [run(vocabulary, 0, 1)]}, labels, np.eye(4, 6)), PARAMS, print)


def test_sample_is_bounded_even_and_fixed_by_its_seed():
    labels = np.concatenate([np.full(30, -1), np.full(20, 4), np.full(3, 7), np.full(50, 2)])
    params = dataclasses.replace(PARAMS, samples_per_class=10)
    rows = sample_pairs(labels, params)
    assert np.bincount(labels[rows]).tolist() == [0, 0, 10, 0, 10, 0, 0, 3]
    assert (np.diff(rows) > 0).all()
    np.testing.assert_array_equal(rows, sample_pairs(labels, params))
    assert rows.tolist() != sample_pairs(labels, dataclasses.replace(params, seed=1)).tolist()
    few = sample_pairs(np.arange(100) % 20, dataclasses.replace(params, num_classes=3))
    assert len(np.unique(few % 20)) == 3 and len(few) == 15
    assert len(sample_pairs(np.full(4, -1), params)) == 0


def test_projection_keeps_groups_together():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(60, 8)) + 30 * np.eye(8)[np.arange(60) % 3]
    places = project(points, PARAMS)
    centers = np.stack([places[group::3].mean(0) for group in range(3)])
    nearest = np.linalg.norm(places[:, None] - centers, axis=2).argmin(1)
    np.testing.assert_array_equal(nearest, np.arange(60) % 3)


@pytest.mark.parametrize("count", [0, 1, 3, 4, 9])
def test_projection_of_few_points(count):
    places = project(np.random.default_rng(0).normal(size=(count, 8)), PARAMS)
    assert places.shape == (count, 2) and np.isfinite(places).all()


def test_no_two_classes_look_alike():
    looks = class_looks(
        Vocabulary(
            objects=("person", *(f"thing {row}" for row in range(8))),
            verbs=tuple(f"verb {row}" for row in range(6)),
            hoi_classes=tuple((verb, thing) for thing in range(1, 9) for verb in range(6)),
        )
    )
    colors = np.array([look.color for look in looks])
    distance = np.abs(colors[:, None] - colors).max(2) + np.array(
        [[9 * (one.marker != other.marker) for other in looks] for one in looks]
    )
    np.fill_diagonal(distance, 9)
    assert distance.min() > 0.03 and 0 <= colors.min() <= colors.max() <= 1


def test_many_object_categories_have_a_legend_of_names_only():
    names = tuple(f"thing {row}" for row in range(30))
    vocabulary = Vocabulary(("person", *names), ("hold", "lift"), tuple((row % 2, 1 + row // 2) for row in range(60)))
    labels = np.arange(PAIRS) % 60
    small = Vocabulary(vocabulary.objects, vocabulary.verbs, vocabulary.hoi_classes[:WIDTH])
    bank = np.random.default_rng(0).normal(size=(60, WIDTH)).astype(np.float32)
    runs = {"x": [dataclasses.replace(run(small, 0, 1), bank=bank)]}
    figures = embedding_figures(EmbeddedRuns(vocabulary, runs, labels, np.eye(60)), PARAMS, print)
    assert Image.open(io.BytesIO(figures.pairs)).size[0] > 400
