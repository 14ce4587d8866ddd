"""One step: what it must not do on a GPU, told on the CPU by the operators that it calls; recomputation; precision."""

import copy
import dataclasses

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from pipeline.backbones.base import freeze_batch_norm
from pipeline.backbones.detector_fpn import DetectorFpn
from pipeline.config.params import ExecutionParams
from pipeline.core.errors import ParamError
from pipeline.detection.small_fasterrcnn import small_fasterrcnn
from pipeline.training.distributed import ALONE, Ranks
from pipeline.training.optimizer import build_optimizer
from pipeline.training.step import check_micro_batch, optimizer_step, place_network
from tests.small_model import chosen, counts_of, fed, run, small_loss, small_model

CPU = torch.device("cpu")
RECOMPUTED = dataclasses.replace(ExecutionParams(), gradient_checkpointing=True)


WAITS = {"_local_scalar_dense", "nonzero", "bincount", "masked_select", "_unique2", "lift_fresh", "is_nonzero"}


class NoWaiting(TorchDispatchMode):
    """Fails at operators for which the host would wait for a GPU: sizes or values that depend on data, host copies."""

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = operator.name().removeprefix("aten::").partition(".")[0]
        assert name not in WAITS, name
        if name == "repeat_interleave":
            assert kwargs.get("output_size") is not None
        if name in ("index", "index_put", "index_put_", "_index_put_impl_"):
            assert all(index is None or index.dtype != torch.bool for index in args[1]), "index by a mask"
        return operator(*args, **kwargs)


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize(
    "changes",
    [{}, {"method": "ppr_fcn"}, {"method": "prompt_classifier", "classifier": "mlp"}, {"method": "regformer"}],
)
def test_forward_losses_and_backward_never_wait(
    vocabulary, model_params, small_visual, params, batch, changes, recompute
):
    model = small_model(vocabulary, chosen(model_params, **changes), small_visual)
    model.network.backbone.recompute = recompute
    batch_loss, given = small_loss(model, vocabulary, params), fed(batch, vocabulary, CPU)
    stop = torch.optim.SGD(model.network.parameters(), lr=0.0)  # AdamW's own kernel is tested on a GPU
    with NoWaiting():
        figures = optimizer_step(batch_loss, stop, [given], ALONE, gradient_clip=1.0)
    assert figures.shape == (len(batch_loss.figures),)
    assert len(given.pairs) == 14


def test_such_operators_are_noticed(vocabulary, model_params, small_visual, batch):
    """Pairing where the batch lies, reading a value, a mask, a list: each would make the host wait."""
    model, values = small_model(vocabulary, model_params, small_visual), torch.arange(4.0)
    waits = (
        lambda: run(model, vocabulary, batch),
        lambda: values.sum().item(),
        lambda: values[values > 1],
        lambda: values.new_tensor([1.0]),
        lambda: torch.repeat_interleave(values, torch.tensor([1, 2, 0, 1])),
    )
    for wait in waits:
        with pytest.raises(AssertionError), NoWaiting():
            wait()


def backward(batch_loss, given):
    """Loss, gradients, and bytes kept for the backward pass of the forward pass, parameters and batch apart."""
    kept: dict[int, torch.Tensor] = {}

    def pack(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage()
        return tensor

    network = batch_loss.network
    network.zero_grad(set_to_none=True)
    given_storages = {value.untyped_storage().data_ptr() for value in network.parameters()}
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        network.backbone(given.bags.images)
    size = sum(storage.nbytes() for address, storage in kept.items() if address not in given_storages)
    total, _ = batch_loss(given.bags, given.pairs, counts_of(given.bags, given.pairs))
    total.backward()
    return total.detach(), {name: value.grad for name, value in network.named_parameters()}, size


def test_recomputation_changes_no_bit_and_keeps_less(vocabulary, model_params, small_visual, params, batch):
    batch_loss = small_loss(small_model(vocabulary, model_params, small_visual), vocabulary, params)
    batch_loss.network.train()
    keeps_all = copy.deepcopy(batch_loss)  # also the inputs of its norms
    for layer in keeps_all.network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.eval().requires_grad_(False)
    freeze_batch_norm(batch_loss.network)
    twin, given = copy.deepcopy(batch_loss), fed(batch, vocabulary, CPU)
    place_network(twin.network, RECOMPUTED, CPU, moving_norms=False)
    total, expected, kept = backward(batch_loss, given)
    other, found, kept_less = backward(twin, given)
    assert torch.equal(total, other)
    for name, value in expected.items():
        assert (value is None) == (found[name] is None)
        assert value is None or torch.equal(value, found[name]), name
    assert kept_less < kept / 2
    assert kept_less < backward(keeps_all, given)[2] / 3


def test_recomputation_of_a_detectors_pyramid(seed):
    torch.manual_seed(seed)
    backbone = DetectorFpn(small_fasterrcnn(5).eval(), {}, embed_dim=24, image_size=64)
    images, results = torch.randn(2, 3, 64, 64), []
    for backbone.recompute in (False, True):
        backbone.zero_grad(set_to_none=True)
        backbone.global_embedding(backbone(images)).square().sum().backward()
        results.append([value.grad.clone() for value in backbone.parameters() if value.grad is not None])
    assert len(results[0]) == len(results[1]) > 20
    assert all(torch.equal(one, other) for one, other in zip(*results, strict=True))


def test_recomputation_is_refused_beside_moving_norms(vocabulary, model_params, small_visual):
    network = small_model(vocabulary, model_params, small_visual).network
    with pytest.raises(ParamError, match=r"execution.gradient_checkpointing is true and train.freeze_batch_norm false"):
        place_network(network, RECOMPUTED, CPU, moving_norms=True)


def test_micro_batches_are_refused_beside_moving_norms():
    check_micro_batch(None, couples_images=True, moving_norms=True)
    check_micro_batch(2, couples_images=False, moving_norms=False)
    with pytest.raises(ParamError, match=r"execution.micro_batch is 2 and train.freeze_batch_norm false: .* null, or"):
        check_micro_batch(2, couples_images=False, moving_norms=True)


def test_mixed_precision_is_near_and_its_losses_are_float32(vocabulary, model_params, small_visual, params, batch):
    """L_b is left out: which pair is the best of a bag may be another after rounding."""
    model, given = small_model(vocabulary, model_params, small_visual), fed(batch, vocabulary, CPU)
    model.network.eval()
    exact, mixed = (
        small_loss(model, vocabulary, params, precision)(given.bags, given.pairs, counts_of(given.bags, given.pairs))[1]
        for precision in ("float32", "bfloat16")
    )
    assert {value.dtype for value in mixed} == {torch.float32}
    for term in (0, 1):  # L_g, L_p
        torch.testing.assert_close(mixed[term], exact[term], rtol=0.02, atol=0)
        assert not torch.equal(mixed[term], exact[term])


def test_steps_lower_the_loss(vocabulary, model_params, small_visual, params, batch):
    batch_loss = small_loss(small_model(vocabulary, model_params, small_visual), vocabulary, params)
    optimizer = build_optimizer(batch_loss.network, params)
    losses = [
        optimizer_step(batch_loss, optimizer, [fed(batch, vocabulary, CPU)], ALONE, gradient_clip=5.0)[0].item()
        for _ in range(24)
    ]
    assert losses[-1] < 0.9 * losses[0]


class AsOften(Ranks):
    """One of two ranks with as many pairs and labels as the other."""

    def sum(self, count, device):
        return torch.as_tensor(count, device=device) * 2


def test_terms_are_divided_by_the_counts_of_all_ranks(vocabulary, model_params, small_visual, params, batch):
    model = small_model(vocabulary, chosen(model_params, method="regformer"), small_visual)
    batch_loss, given = small_loss(model, vocabulary, params), fed(batch, vocabulary, CPU)
    stop = torch.optim.SGD(model.network.parameters(), lr=0.0)
    alone, shared = (
        optimizer_step(batch_loss, stop, [given], ranks, gradient_clip=1.0)[0] for ranks in (ALONE, AsOften(0, 2, 0))
    )
    torch.testing.assert_close(shared, alone / 2)
