import numpy as np
import pytest
import torch

from pipeline.core.errors import DataError, ParamError
from pipeline.data.bags import collate_bags
from pipeline.inference.params import RepresentParams
from pipeline.inference.represent_split import RepresentWork, best_of_images, representation_columns
from pipeline.store.part_work import compute_parts
from pipeline.store.parts import FinishedParts, PartPlan
from pipeline.store.representations_file import read_representations, write_representations
from tests.small_model import chosen, run, small_model
from tests.small_split import small_bags

ATOL = 1e-5  # batches of other sizes sum in another order


@pytest.fixture
def model(small_visual, vocabulary, model_params, seed):
    model = small_model(vocabulary, model_params, small_visual, seed=seed)
    torch.manual_seed(1 + seed)
    torch.nn.init.normal_(model.network.eval().fusion[-1].weight)  # so that rows differ by far more than the tolerance
    return model


@pytest.fixture
def represent(tmp_path, model, vocabulary, bags):
    def write(pairs_per_image=1000, dtype="float32", part_size=100, work="work", bags=bags):
        """Compute all parts, write `work`.h5 from them, read it back."""
        params, digest = RepresentParams(dtype=dtype, pairs_per_image=pairs_per_image), f"{pairs_per_image} {dtype}"
        represent = RepresentWork(model, vocabulary, bags, 2, digest, torch.device("cpu"), params)
        plan = PartPlan(tmp_path / work, digest, len(bags), part_size)
        compute_parts(plan, plan.ranges(), represent, threads=1)
        columns = representation_columns(FinishedParts(plan, represent.empty), represent, run="ours")
        path, image_ids = tmp_path / f"{work}.h5", bags.manifest.image_ids
        write_representations(path, image_ids=image_ids, run="ours", **columns)
        return read_representations(path, image_ids=image_ids)

    return write


def test_best_rows_by_hand():
    """Image 0 holds rows 0 to 3, image 1 none, image 2 rows 4 and 5."""
    scores, offsets = np.array([0.2, 0.9, 0.5, 0.9, 0.1, 0.3]), np.array([0, 4, 4, 6])
    assert best_of_images(scores, offsets, 3).tolist() == [1, 3, 2, 5, 4]
    assert best_of_images(scores, offsets, 1).tolist() == [1, 5]
    assert best_of_images(np.zeros(0), np.zeros(3, np.int64), 4).tolist() == []


def test_rows_are_the_networks_own_representation_best_detected_first(represent, model, vocabulary, bags):
    found = represent()
    np.testing.assert_array_equal(found.bank, model.network.bank.detach())
    assert len(found) > 10
    for index in range(len(bags)):
        batch = collate_bags([bags[index]])
        with torch.inference_mode():
            pairs, outputs = run(model, vocabulary, batch)
        scores = torch.from_numpy(bags.proposals.image(index, 6).scores)
        product = scores[pairs.human] * scores[pairs.object]
        order = torch.argsort(-product, stable=True)
        rows = slice(found.offsets[index], found.offsets[index + 1])
        np.testing.assert_array_equal(found.human_boxes[rows], batch.boxes[pairs.human[order]])
        np.testing.assert_array_equal(found.object_boxes[rows], batch.boxes[pairs.object[order]])
        np.testing.assert_array_equal(found.object_ids[rows], batch.object_ids[pairs.object[order]])
        np.testing.assert_allclose(found.representation[rows], outputs["representation"][order], atol=ATOL)
    assert found.representation.std(0).min() > 10 * ATOL  # else other rows would pass as well


def test_fewer_pairs_are_the_first_of_more(represent):
    every, few = represent(), represent(2)
    assert np.diff(few.offsets).tolist() == np.diff(every.offsets).clip(max=2).tolist()
    counts = np.diff(few.offsets)
    rows = np.concatenate([start + np.arange(count) for start, count in zip(every.offsets, counts, strict=False)])
    np.testing.assert_array_equal(few.representation, every.representation[rows])


def test_the_network_does_not_choose_the_pairs(represent, model):
    first = represent(2)
    for parameter in model.network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    second = represent(2, work="another network")
    assert first.same_pairs(second)
    assert np.abs(first.representation - second.representation).max() > 0.01


def test_parts_do_not_change_a_bit(represent, tmp_path):
    for name, part_size in (("one", 100), ("many", 2)):
        represent(part_size=part_size, work=name)
    assert (tmp_path / "one.h5").read_bytes() == (tmp_path / "many.h5").read_bytes()
    assert len(list((tmp_path / "many").rglob("*.safetensors"))) == 3


def test_half_precision_rounds_and_refuses_what_it_cannot_hold(represent, model):
    exact, half = represent(), represent(dtype="float16")
    assert half.representation.dtype == np.float16
    np.testing.assert_array_equal(half.representation, exact.representation.astype(np.float16))
    torch.nn.init.constant_(model.network.fusion[-1].bias, 1e5)
    with pytest.raises(DataError, match=r"^ours: .* float16 cannot hold; set represent\.dtype to float32"):
        represent(dtype="float16", work="large")


def test_no_pairs(represent, tmp_path, vocabulary):
    nothing = represent(bags=small_bags(tmp_path / "none", vocabulary, [0, 1]))
    assert nothing.representation.shape == (0, 24)
    assert nothing.offsets.tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("method", "settings", "missing"),
    [
        ("ppr_fcn", {}, "knowledge bank"),
        ("prompt_classifier", {"classifier": "mlp"}, "knowledge bank"),
        ("clip_zero_shot", {}, "pair representation"),
    ],
)
def test_a_method_without_a_bank_or_representations_is_one_line(
    vocabulary, model_params, small_visual, bags, method, settings, missing
):
    model = small_model(vocabulary, chosen(model_params, method=method, **settings), small_visual)
    params = RepresentParams(dtype="float32", pairs_per_image=5)
    with pytest.raises(ParamError, match=f'^model.method: "{method}" has no {missing} to represent; .*bilevel$'):
        work = RepresentWork(model, vocabulary, bags, 2, "x", torch.device("cpu"), params)
        work.run(range(2), work.load(range(2)))
