"""The plan of a row of the toyworld against the networks themselves."""

import dataclasses
import math

import pytest
import torch

import weakhoi
from pipeline.backbones.params import EncodeImagesParams
from pipeline.config.params import ExecutionParams, load_params
from pipeline.config.run import Run
from pipeline.core.errors import ParamError
from pipeline.methods.base import trained_state
from pipeline.planning import counted_memory
from pipeline.planning.counted_memory import Shapes
from pipeline.planning.dataset_sizes import Crowd, DatasetSizes, SplitSizes
from pipeline.planning.run_plan import NoPlanError, RunPlan
from pipeline.toyworld.vocabulary import toyworld_vocabulary
from tests.conftest import ROOT

PLAIN = ExecutionParams()
VOCABULARY = toyworld_vocabulary()


def plan_of(variant="ours", crowd=(2, 3), images=100):
    params = load_params(ROOT / "params.yaml", "toyworld", Run.parse(variant))
    split = SplitSizes(images, (Crowd(*crowd).object_ids(VOCABULARY),))
    return RunPlan(params, DatasetSizes(VOCABULARY, split, split, "", ""), ROOT)


def test_parameters_and_checkpoint_are_those_of_the_trained_model():
    plan, network = plan_of(), weakhoi.load("toyworld/ours")._predictor.model.network
    assert sum(plan.parameters) == sum(one.numel() for one in network.parameters())
    state = trained_state(network).values()
    assert plan.disk()["checkpoint"] == sum(tensor.nbytes for tensor in state)


@pytest.mark.parametrize("execution", [PLAIN, dataclasses.replace(PLAIN, micro_batch=1, gradient_checkpointing=True)])
def test_memory_is_that_of_real_tensors(execution, monkeypatch):
    """The same step with numbers, all zeros, counted in the same way."""
    planned = plan_of("ours+train.batch_size=2")
    crowds = [planned.sizes.test.object_ids[0]] * 2
    step, forward = planned.training(execution), planned.forward(crowds)

    def zeros(self, *shape, dtype=torch.float32):
        return torch.zeros(shape, dtype=dtype)

    monkeypatch.setattr(counted_memory, "_MOST_NUMBERS", math.inf)
    monkeypatch.setattr(Shapes, "empty", zeros)
    monkeypatch.setattr(Shapes, "like", lambda self, tensor: torch.zeros_like(tensor, device="cpu"))
    real = plan_of("ours+train.batch_size=2")
    found = real.training(execution)
    assert (step.at_rest, step.images, step.pairs) == (found.at_rest, found.images, found.pairs)
    assert step.peak == pytest.approx(found.peak, rel=0.01)
    assert forward.peak == pytest.approx(real.forward(crowds).peak, rel=0.01)


def test_less_is_held_at_once():
    plan = plan_of("ours+train.batch_size=4")
    ways = plan.ways(PLAIN)
    assert [*ways] == ["whole share", "whole share, recomputed", "micro_batch 1", "micro_batch 1, recomputed"]
    whole, recomputed, micro, both = (plan.training(way).peak for way in ways.values())
    assert whole > max(recomputed, micro) and both < min(recomputed, micro)
    shared = plan.training(PLAIN, ranks=2)
    assert (shared.images, shared.pairs) == (2, 2 * 2 * 3)
    assert shared.peak < whole


def test_disk_by_hand():
    """Of each of 100 images 5 boxes and 6 pairs: boxes of 28 bytes; of a pair two rows, the verbs and relatedness."""
    plan = plan_of()
    verbs, hois, objects = VOCABULARY.num_verbs, VOCABULARY.num_hois, VOCABULARY.num_objects
    disk = plan.disk()
    assert disk["proposals, train"] == disk["proposals, test"] == 100 * 5 * 28
    assert disk["knowledge bank"] == 4 * (hois + objects + verbs) * plan.model.network.backbone.embed_dim
    assert disk["predictions, test"] == 100 * (16 + 4 * hois + 5 * 28 + 6 * (16 + 4 * verbs + 4))
    assert "stored features, train" not in disk


def test_stored_features():
    """A map of 160 / 16 cells a side, of the image and its mirror image, float16."""
    plan = plan_of("ours_frozen")
    features = math.prod(plan.model.network.backbone.fixed_shapes(160)[0])
    assert features == 10 * 10 * plan.model.network.backbone.patch_width
    assert plan.params[EncodeImagesParams].mirrored
    assert plan.disk()["stored features, train"] == 100 * 2 * 2 * features
    step = plan.training(PLAIN)
    images = 8 * 3 * 160 * 160 * 4  # which are not there
    assert step.at_rest < 4 * sum(plan.parameters) + 8 * 2 * 2 * features + 0.1 * images


def test_the_schedule():
    assert vars(plan_of(images=1000).schedule) == {"iterations": 8 * 125, "batch_size": 8}
    assert vars(plan_of(images=3).schedule) == {"iterations": 8, "batch_size": 3}


@pytest.mark.parametrize("variant", ["abl4", "explanation_hoi", "regformer", "supervised"])
def test_methods_have_a_plan(variant):
    """A detector's pyramid and a teacher; gradients at inference; no proposals in training; boxes."""
    plan = plan_of(variant)
    for memory in (plan.training(PLAIN), plan.forward(plan.sizes.test.object_ids)):
        assert memory.peak > memory.at_rest > 4 * sum(plan.parameters)


def test_moments_of_each_kind_of_supervision_are_kept():
    mixed, weak = plan_of("mx_hoi_like_25"), plan_of("mx_hoi_like")
    more = mixed.training(PLAIN).peak - weak.training(PLAIN).peak
    assert more == pytest.approx(2 * 4 * weak.parameters[0], rel=0.05)


def test_what_has_no_plan_says_so():
    plan = plan_of("alignformer_like")
    with pytest.raises(NoPlanError, match="depends on numbers that only a run has"):
        plan.training(PLAIN)
    with pytest.raises(ParamError, match="this method compares the images of a batch"):
        plan.training(dataclasses.replace(PLAIN, micro_batch=2))
    assert [*plan.ways(PLAIN)] == ["whole share", "whole share, recomputed"]
