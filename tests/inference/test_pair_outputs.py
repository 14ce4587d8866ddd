import dataclasses

import numpy as np
import pytest
import torch

from pipeline.core.device import place
from pipeline.data.bags import BagDataset, collate_bags
from pipeline.inference.pair_outputs import InferWork, batch_outputs, dump_columns
from pipeline.store.dump import read_dump, write_dump
from pipeline.store.files import sha256_of
from pipeline.store.part_work import compute_parts
from pipeline.store.parts import FinishedParts, PartPlan
from tests.small_model import run, small_model
from tests.small_split import small_bags

ATOL = 2e-4  # batches of other sizes sum in another order


@pytest.fixture
def model(small_visual, vocabulary, model_params, seed):
    model = small_model(vocabulary, model_params, small_visual, seed=seed)
    torch.manual_seed(1 + seed)
    for head in (model.network.eval().interaction_head, model.network.relatedness_head):
        torch.nn.init.normal_(head[-1].weight, std=20)  # so that rows differ by far more than the tolerance
    return model


@pytest.fixture
def infer(tmp_path, model, bags, vocabulary):
    def write(batch_size, part_size, work="work", digest="x", done=lambda count: None, bags=bags):
        """Compute all parts, write `work`.zarr from them, read it back."""
        infer = InferWork(model, vocabulary, bags, batch_size, digest, torch.device("cpu"))
        plan = PartPlan(tmp_path / work, digest, len(bags), part_size)
        compute_parts(plan, plan.ranges(), infer, threads=1, done=done)
        columns = dump_columns(model.method.columns, FinishedParts(plan, infer.empty).column)
        path, image_ids = tmp_path / f"{work}.zarr", bags.manifest.image_ids
        write_dump(path, vocabulary=vocabulary, image_ids=image_ids, variant="ours", **columns)
        return read_dump(path, vocabulary=vocabulary, image_ids=image_ids)

    return write


def arrays(dump):
    return {name: value for name, value in vars(dump).items() if isinstance(value, np.ndarray)} | dict(dump.outputs)


def test_rows_are_the_networks_own_image_by_image(infer, model, vocabulary, bags):
    dump = infer(4, 100)
    for index in range(len(bags)):
        batch = collate_bags([bags[index]])
        with torch.inference_mode():
            expected, outputs = run(model, vocabulary, batch)
        rows = slice(dump.proposal_offsets[index], dump.proposal_offsets[index + 1])
        pairs = slice(dump.pair_offsets[index], dump.pair_offsets[index + 1])
        np.testing.assert_array_equal(dump.boxes[rows], batch.boxes)
        np.testing.assert_array_equal(dump.object_ids[rows], batch.object_ids)
        np.testing.assert_array_equal(dump.proposal_scores[rows], bags.proposals.image(index, 6).scores)
        np.testing.assert_array_equal(dump.human_index[pairs], expected.human)
        np.testing.assert_array_equal(dump.object_index[pairs], expected.object)
        for name in ("interaction_logits", "relatedness_logits"):
            np.testing.assert_allclose(dump.outputs[name][pairs], outputs[name], atol=ATOL)
        np.testing.assert_allclose(dump.outputs["image_logits"][index], outputs["image_logits"][0], atol=ATOL)
    assert np.diff(dump.proposal_offsets).tolist() == [5, 0, 6, 1, 4, 6]
    assert len(dump.human_index) > 10
    for name in ("interaction_logits", "relatedness_logits"):
        assert dump.outputs[name].std(0).min() > 10 * ATOL  # else other rows would pass as well


def test_outputs_of_image_and_mirror_image_are_averaged_where_asked_for(model, vocabulary, bags):
    batch = collate_bags([bags[0], bags[2]])
    x1, y1, x2, y2 = batch.boxes.unbind(1)
    width = batch.image_sizes[batch.proposal_image, 0]
    mirror = dataclasses.replace(
        batch, images=batch.images.flip(3), boxes=torch.stack([width - x2, y1, width - x1, y2], 1)
    )
    flipping = dataclasses.replace(model, config={**model.config, "flip_at_inference": True})
    cpu = torch.device("cpu")
    plain, other, both = (
        batch_outputs(one, vocabulary, bags, cpu) for one, bags in ((model, batch), (model, mirror), (flipping, batch))
    )
    for column in model.method.columns:
        np.testing.assert_allclose(both[column.name], (plain[column.name] + other[column.name]) / 2, atol=ATOL)
    assert np.abs(plain["interaction_logits"] - other["interaction_logits"]).max() > 10 * ATOL
    np.testing.assert_array_equal(both["boxes"], batch.boxes)


def test_parts_do_not_change_a_bit(infer, tmp_path):
    """Two batches a part, or all in one part: the batches are the same."""
    for name, part_size in (("one", 100), ("many", 2)):
        infer(2, part_size, work=name)
    assert sha256_of(tmp_path / "one.zarr") == sha256_of(tmp_path / "many.zarr")
    assert len(list((tmp_path / "many").rglob("*.safetensors"))) == 3


@pytest.mark.parametrize("batch_size", [1, 4, 6])
def test_the_batch_size_does_not_matter(infer, batch_size):
    expected = arrays(infer(2, 100, work="a"))
    for name, value in arrays(infer(batch_size, 100, work="b")).items():
        assert value.dtype == expected[name].dtype
        np.testing.assert_allclose(value, expected[name], atol=ATOL, err_msg=name)


def test_the_batch_that_an_image_is_in_does_not_matter(model, bags, vocabulary):
    work = InferWork(model, vocabulary, bags, 6, "x", torch.device("cpu"))
    found = {}
    for images in ([4, 0, 3], [5, 2], [1]):
        found.update(zip(images, work.run(images, work.load(images)), strict=True))
    for image, expected in enumerate(work.run(range(6), work.load(range(6)))):
        for name, value in expected.items():
            np.testing.assert_allclose(found[image][name], value, atol=ATOL, err_msg=name)


def test_an_interrupted_run_goes_on(infer, bags, monkeypatch):
    whole, told = infer(2, 2, work="a"), []

    def interrupt(count):
        told.append(count)
        if len(told) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        infer(2, 2, work="b", done=interrupt)
    opened, get = [], BagDataset.__getitem__
    monkeypatch.setattr(BagDataset, "__getitem__", lambda self, index: opened.append(index) or get(self, index))
    resumed = infer(2, 2, work="b")
    assert opened == [4, 5]  # of one batch, so in order
    for name, value in arrays(whole).items():
        np.testing.assert_array_equal(arrays(resumed)[name], value)
    infer(2, 2, work="b", digest="another checkpoint")
    assert opened == [4, 5, 0, 1, 2, 3, 4, 5]  # by one thread


def test_no_pairs(infer, tmp_path, vocabulary):
    nothing = infer(2, 2, work="a", bags=small_bags(tmp_path / "none", vocabulary, [0, 1]))
    assert nothing.outputs["interaction_logits"].shape == (0, 3)
    assert nothing.pair_offsets.tolist() == [0, 0, 0]
    assert nothing.outputs["image_logits"].shape == (2, 4)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_gives_the_numbers_of_the_cpu(model, bags, vocabulary):
    outputs = []
    for name in ("cpu", "cuda"):
        device = torch.device(name)
        place(model.network, device, channels_last=True)
        work = InferWork(model, vocabulary, bags, 6, "x", device)
        outputs.append(work.run(range(6), work.load(range(6))))
    for one, other in zip(*outputs, strict=True):
        for name in one:
            np.testing.assert_allclose(one[name], other[name], atol=1e-2, err_msg=name)
