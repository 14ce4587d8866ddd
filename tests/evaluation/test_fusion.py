import dataclasses
import math
from itertools import pairwise

import numpy as np
import pytest

from pipeline.core.errors import ArtifactError, ParamError
from pipeline.core.outputs import OutputColumn
from pipeline.evaluation.fusion import Factors, FusedDump, fuse, fuse_factors, pair_classes, pair_scores, sigmoid
from pipeline.evaluation.params import EvaluateParams
from pipeline.store.dump import PredictionDump, write_dump
from pipeline.store.files import sha256_of
from pipeline.store.ragged import offsets_of

COLUMNS = (
    OutputColumn("interaction_logits", "pair", "verbs", "pairwise", "softmax"),
    OutputColumn("image_logits", "image", "hois", "global"),
    OutputColumn("relatedness_logits", "pair", None, "relatedness"),
)
WHOLE = EvaluateParams(protocol="hicodet", setting="default", links={}, times_run=None, weights={"detector": 2.0})
PLAIN = dataclasses.replace(
    WHOLE, links={"pairwise": "sigmoid"}, weights={"global": 0.0, "relatedness": 0.0, "detector": 0.0}
)
BY_CATEGORY = dataclasses.replace(WHOLE, links={"pairwise": "category_softmax"}, weights={"global": 0.5, "detector": 2})
MIXED = dataclasses.replace(WHOLE, links={"pairwise": "sigmoid"}, weights={"global": 0.5, "detector": 2.8})


def logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def dump_of(vocabulary, object_ids: list[list[int]], pairs: list[list[tuple[int, int]]], seed=0) -> PredictionDump:
    """A dump with the given categories and pairs per image, everything else random."""
    rng = np.random.default_rng(seed)
    rows, total = sum(map(len, object_ids)), sum(map(len, pairs))
    flat = np.array([pair for image in pairs for pair in image], np.int64).reshape(-1, 2)
    boxes = np.sort(rng.random((rows, 2, 2)), axis=1).reshape(-1, 4).astype(np.float32)
    scores = rng.random(rows).astype(np.float32)
    outputs = {
        "interaction_logits": 3 * rng.standard_normal((total, vocabulary.num_verbs)),
        "image_logits": rng.standard_normal((len(pairs), vocabulary.num_hois)),
        "relatedness_logits": rng.standard_normal(total),
    }
    outputs = {name: value.astype(np.float32) for name, value in outputs.items()}
    return PredictionDump(
        vocabulary=vocabulary,
        image_ids=tuple(map(str, range(len(pairs)))),
        variant="ours",
        columns=COLUMNS,
        outputs=outputs,
        proposal_offsets=offsets_of(np.array([len(image) for image in object_ids], np.int64)),
        boxes=boxes,
        proposal_scores=scores,
        object_ids=np.array([name for image in object_ids for name in image], np.int64),
        pair_offsets=offsets_of(np.array([len(image) for image in pairs], np.int64)),
        human_index=flat[:, 0],
        object_index=flat[:, 1],
    )


@pytest.fixture
def two_pairs(vocabulary):
    """One image: a human with a bicycle (HOI classes ride 0, hold 1) and with a cup (hold 2, drink_with 3)."""
    dump = dump_of(vocabulary, [[0, 1, 2]], [[(0, 1), (0, 2)]])
    return dataclasses.replace(
        dump,
        proposal_scores=np.array([0.8, 0.5, 0.9], np.float32),
        outputs={
            "interaction_logits": np.array([[2, 1, 0], [-1, 3, 0.5]], np.float32),
            "relatedness_logits": np.array([1, -2], np.float32),
            "image_logits": np.array([[0, 1, -1, 2]], np.float32),
        },
    )


def weight(best: float, own: float, other: float) -> float:
    """e_p of a pair: sigmoid of the best logit, times the softmax of its own against the other pair's."""
    return logistic(best) * math.exp(own) / (math.exp(own) + math.exp(other))


def test_eq_3_by_hand(two_pairs):
    found = fuse(two_pairs, WHOLE)
    bicycle, cup = (0.8 * 0.5) ** 2 * logistic(1), (0.8 * 0.9) ** 2 * logistic(-2)
    assert found.hoi_id.tolist() == [0, 1, 2, 3]
    assert found.image_index.tolist() == [0] * 4
    np.testing.assert_array_equal(found.human_boxes, two_pairs.boxes[[0, 0, 0, 0]])
    np.testing.assert_array_equal(found.object_boxes, two_pairs.boxes[[1, 1, 2, 2]])
    assert found.scores.tolist() == pytest.approx(
        [
            weight(2, 2, -1) * bicycle * logistic(0),
            weight(3, 1, 3) * bicycle * logistic(1),
            weight(3, 3, 1) * cup * logistic(-1),
            weight(0.5, 0.5, 0) * cup * logistic(2),
        ],
        rel=1e-5,
    )


@pytest.mark.parametrize(
    ("weights", "factors"),
    [
        ({}, [1, 1, 1, 1]),
        ({"global": 1.0}, [logistic(0), logistic(1), logistic(-1), logistic(2)]),
        ({"global": 0.5}, [logistic(0) ** 0.5, logistic(1) ** 0.5, logistic(-1) ** 0.5, logistic(2) ** 0.5]),
        ({"relatedness": 1.0}, [logistic(1)] * 2 + [logistic(-2)] * 2),
        ({"detector": 1.0}, [0.4, 0.4, 0.72, 0.72]),
        ({"detector": 2.8}, [0.4**2.8] * 2 + [0.72**2.8] * 2),
    ],
)
def test_a_score_is_the_product_of_factors_to_their_weights(two_pairs, weights, factors):
    interaction = [logistic(2), logistic(1), logistic(3), logistic(0.5)]
    found = fuse(two_pairs, dataclasses.replace(PLAIN, weights=PLAIN.weights | weights))
    assert found.scores.tolist() == pytest.approx([a * b for a, b in zip(interaction, factors, strict=True)], rel=1e-5)


def loop(dump: PredictionDump, params: EvaluateParams) -> list[tuple]:
    """Eq. (3) image by image, pair by pair, class by class."""
    rows = []
    for image in range(len(dump)):
        low, high = dump.pair_offsets[image : image + 2]
        for pair in range(low, high):
            human = dump.proposal_offsets[image] + dump.human_index[pair]
            partner = dump.proposal_offsets[image] + dump.object_index[pair]
            for hoi_id, (verb, object_id) in enumerate(dump.vocabulary.hoi_classes):
                if object_id != dump.object_ids[partner]:
                    continue
                link, rows_of = params.links.get("pairwise", "softmax"), range(low, high)
                if link == "category_softmax":
                    partners = dump.proposal_offsets[image] + dump.object_index[low:high]
                    rows_of = low + np.flatnonzero(dump.object_ids[partners] == object_id)
                logits = [float(dump.outputs["interaction_logits"][row, verb]) for row in rows_of]
                own = float(dump.outputs["interaction_logits"][pair, verb])
                score = logistic(own)
                if link != "sigmoid":
                    score = logistic(max(logits)) * math.exp(own) / sum(math.exp(other) for other in logits)
                weight = {"global": 1, "relatedness": 1} | params.weights
                score *= float(dump.proposal_scores[human] * dump.proposal_scores[partner]) ** weight["detector"]
                score *= logistic(float(dump.outputs["image_logits"][image, hoi_id])) ** weight["global"]
                score *= logistic(float(dump.outputs["relatedness_logits"][pair])) ** weight["relatedness"]
                rows.append((image, hoi_id, human, partner, score))
    return rows


def test_softmax_over_the_pairs_of_a_category_by_hand(vocabulary):
    """Two people with a bicycle, one with a cup: the bicycle's pairs share one softmax, the cup's is alone."""
    dump = dump_of(vocabulary, [[0, 1, 2, 0]], [[(0, 1), (0, 2), (3, 1)]])
    logits = np.array([[0, 1, 0], [0, 5, 0], [0, 2, 0]], np.float32)
    dump = dataclasses.replace(dump, outputs={**dump.outputs, "interaction_logits": logits})
    _, factors = fuse_factors(dump, BY_CATEGORY)
    first, second = weight(2, 1, 2), weight(2, 2, 1)
    ride, drink = logistic(0) / 2, logistic(0)
    expected = [ride, first, logistic(5), drink, ride, second]
    assert factors.values["pairwise"].tolist() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("params", [WHOLE, PLAIN, MIXED, BY_CATEGORY])
def test_equals_the_loop(vocabulary, params):
    rng = np.random.default_rng(5)
    for seed in range(10):
        object_ids = [rng.integers(0, 4, rng.integers(0, 6)).tolist() for _ in range(5)]
        pairs = [
            [(h, o) for h in range(len(ids)) for o in range(len(ids)) if h != o and ids[h] == 0] for ids in object_ids
        ]
        dump = dump_of(vocabulary, object_ids, pairs, seed)
        found, expected = fuse(dump, params), loop(dump, params)
        assert list(zip(found.image_index.tolist(), found.hoi_id.tolist(), strict=True)) == [
            row[:2] for row in expected
        ]
        humans, partners = ([row[column] for row in expected] for column in (2, 3))
        np.testing.assert_array_equal(found.human_boxes, dump.boxes[np.array(humans, np.int64)])
        np.testing.assert_array_equal(found.object_boxes, dump.boxes[np.array(partners, np.int64)])
        np.testing.assert_allclose(found.scores, [row[4] for row in expected], rtol=1e-5)


def test_a_column_of_logarithms_is_the_factor_itself(two_pairs):
    params = dataclasses.replace(
        WHOLE, links={"pairwise": "exp"}, weights={"pairwise": 0.5, "global": 0, "detector": 0}
    )
    expected = [
        math.exp(logit / 2) * logistic(relatedness) for logit, relatedness in ((2, 1), (1, 1), (3, -2), (0.5, -2))
    ]
    assert sorted(fuse(two_pairs, params).scores) == pytest.approx(sorted(expected))


def test_pairs_with_an_object_of_no_class_are_left_out_but_count_in_the_softmax(vocabulary):
    dump = dump_of(vocabulary, [[0, 3, 2]], [[(0, 1), (0, 2)]])  # a lamp, a cup
    found = fuse(dump, WHOLE)
    assert found.hoi_id.tolist() == [2, 3]
    assert found.scores.tolist() == pytest.approx([row[4] for row in loop(dump, WHOLE)], rel=1e-5)


def test_no_pairs(vocabulary):
    for dump in (dump_of(vocabulary, [[], [0]], [[], []]), dump_of(vocabulary, [], [])):
        for params in (WHOLE, BY_CATEGORY):
            found = fuse(dump, params)
            assert len(found) == 0
            assert found.human_boxes.shape == (0, 4)


def test_extreme_logits_stay_finite():
    assert sigmoid(np.array([-1e4, 0, 1e4], np.float32)).tolist() == [0, 0.5, 1]
    scores = pair_scores(np.array([[1e4], [-1e4], [800]], np.float32), np.array([0, 1, 1, 3]))
    assert scores[:, 0].tolist() == [1, 0, 1]


def test_scores_of_a_verb_sum_to_the_probability_of_the_best_pair(vocabulary):
    logits = np.random.default_rng(0).standard_normal((9, 3)).astype(np.float32)
    offsets = np.array([0, 4, 4, 9])
    scores = pair_scores(logits, offsets)
    for low, high in ((0, 4), (4, 9)):
        np.testing.assert_allclose(scores[low:high].sum(0), sigmoid(logits[low:high]).max(0), rtol=1e-6)


def test_pair_classes_by_hand():
    pair, hoi_id = pair_classes(np.array([2, 0, 1, 2]), np.array([2, 1, 2, 1, 1]), 3)
    assert pair.tolist() == [0, 0, 2, 2, 2, 3, 3]
    assert hoi_id.tolist() == [0, 2, 1, 3, 4, 0, 2]


def test_the_scores_of_another_run_are_one_factor_more(two_pairs):
    logits = two_pairs.outputs["interaction_logits"][:, ::-1].copy()
    other = dataclasses.replace(two_pairs, outputs={**two_pairs.outputs, "interaction_logits": logits})
    plain, product = fuse(two_pairs, WHOLE), fuse(two_pairs, WHOLE, other)
    pair, hoi = pair_classes(
        two_pairs.object_ids[two_pairs.object_index],
        two_pairs.vocabulary.hoi_object_ids,
        two_pairs.vocabulary.num_objects,
    )
    factor = [logistic(logits[p, two_pairs.vocabulary.hoi_verb_ids[h]]) for p, h in zip(pair, hoi, strict=True)]
    np.testing.assert_allclose(product.scores, plain.scores * factor, rtol=1e-5)


def test_another_run_must_be_over_the_same_pairs(two_pairs):
    other = dataclasses.replace(two_pairs, variant="abl1", human_index=two_pairs.human_index[::-1] + 1)
    with pytest.raises(ArtifactError, match=r"abl1 are over other pairs .* \(human_index differ\)"):
        fuse(two_pairs, WHOLE, other)


@pytest.mark.parametrize("params", [WHOLE, PLAIN, MIXED])
def test_the_product_of_the_factors_is_the_score(vocabulary, params):
    dump = dump_of(vocabulary, [[0, 1, 2], [0, 0, 2, 3], []], [[(0, 1), (0, 2)], [(0, 2), (1, 2), (0, 3), (1, 0)], []])
    found, whole = fuse_factors(dump, params)
    rows = np.arange(len(found))[::-2]
    factors = Factors({name: values[rows] for name, values in whole.values.items()}, whole.weights)
    assert set(factors.in_use) == {name for name in factors.values if params.weights.get(name, 1)}
    product = np.prod([factors.weighted(name) for name in factors.values], axis=0)
    np.testing.assert_allclose(product, found.scores[rows], rtol=1e-6)
    np.testing.assert_array_equal(factors.scores(), found.scores[rows])
    np.testing.assert_array_equal(whole.values["detector"], whole.human * whole.object)
    assert (whole.human != whole.object).any()


def test_a_factor_that_the_predictions_lack_is_refused(two_pairs):
    alone = dataclasses.replace(two_pairs, columns=COLUMNS[:1])
    assert len(fuse(alone, WHOLE)) == 4
    with pytest.raises(ParamError, match=r'evaluate.weights: no factor "global".*have pairwise, detector'):
        fuse(alone, dataclasses.replace(WHOLE, weights={"global": 1.0}))
    with pytest.raises(ParamError, match=r'evaluate.links: no factor "detector"'):
        fuse(two_pairs, dataclasses.replace(WHOLE, links={"detector": "sigmoid"}))


# A dump on disk, a range of images at a time

PAIRS = [[(0, 1), (0, 2), (3, 1), (3, 2)], [], [(0, 1)], [], [(1, 0), (0, 1)]]
OBJECTS = [[0, 1, 2, 0], [0], [0, 1], [], [0, 0]]


@pytest.mark.parametrize("cuts", [(0, 5), (0, 1, 2, 5), (0, 3, 4, 5)])
@pytest.mark.parametrize("link", ["softmax", "sigmoid", "category_softmax", "exp"])
def test_ranges_of_images_give_the_detections_of_the_whole(vocabulary, tmp_path, cuts, link):
    params = dataclasses.replace(WHOLE, links={"pairwise": link})
    dump, times = (dump_of(vocabulary, OBJECTS, PAIRS, seed=seed) for seed in (1, 2))
    times = dataclasses.replace(times, boxes=dump.boxes)
    write_dump(tmp_path / "dump.zarr", **vars(dump))
    write_dump(tmp_path / "times.zarr", **vars(times))
    source = FusedDump(tmp_path / "dump.zarr", params, ((("detector", 0.5),), ()), tmp_path / "times.zarr")
    parts = [(start, *source.read(start, stop)) for start, stop in pairwise(cuts)]
    whole = fuse(dump, params, times)
    for name in ("hoi_id", "human_boxes", "object_boxes", "scores"):
        found = np.concatenate([getattr(detections, name) for _, detections, _ in parts])
        np.testing.assert_array_equal(found, getattr(whole, name))
    images = np.concatenate([start + detections.image_index for start, detections, _ in parts])
    np.testing.assert_array_equal(images, whole.image_index)
    for ranking, changes in enumerate(source.rankings):
        scores = np.concatenate([rankings[ranking] for _, _, rankings in parts])
        changed = dataclasses.replace(params, weights=params.weights | dict(changes))
        np.testing.assert_array_equal(scores, fuse(dump, changed, times).scores)


def test_dumps_over_other_pairs_are_refused(vocabulary, tmp_path):
    write_dump(tmp_path / "dump.zarr", **vars(dump_of(vocabulary, OBJECTS, PAIRS)))
    write_dump(tmp_path / "times.zarr", **vars(dump_of(vocabulary, OBJECTS, [PAIRS[0], [], [], [], PAIRS[4]])))
    source = FusedDump(tmp_path / "dump.zarr", WHOLE, ((),), tmp_path / "times.zarr")
    source.read(3, 5)
    with pytest.raises(ArtifactError, match="over other pairs"):
        source.read(0, 5)


def test_a_dump_that_is_not_the_callers_is_refused_before_it_is_read(vocabulary, tmp_path):
    mine, theirs = tmp_path / "mine.zarr", tmp_path / "theirs.zarr"
    for seed, path in enumerate((mine, theirs)):
        write_dump(path, **vars(dump_of(vocabulary, OBJECTS, PAIRS, seed=seed)))
    FusedDump(mine, WHOLE, ((),), digests={mine: sha256_of(mine)}).read(0, 5)
    with pytest.raises(ArtifactError, match=r"theirs.zarr: a worker sees sha256"):
        FusedDump(theirs, WHOLE, ((),), digests={theirs: sha256_of(mine)}).read(0, 5)
