"""Training on a GPU against the CPU, and each way to run it (`execution`). On the CPU, against itself."""

import copy
import dataclasses

import pytest
import torch

from pipeline.config.params import ExecutionParams
from pipeline.training.distributed import ALONE
from pipeline.training.log import TrainingLog
from pipeline.training.loop import TrainingRun, train
from pipeline.training.optimizer import build_optimizer, build_schedule
from pipeline.training.resume import TrainingState
from pipeline.training.step import optimizer_step, place_network
from tests.small_model import chosen, counts_of, fed, small_loss, small_model

CPU = torch.device("cpu")
PLAIN = dataclasses.replace(ExecutionParams(), channels_last=False)
WAYS = {
    "channels_last": ExecutionParams(),
    "recomputed": dataclasses.replace(PLAIN, gradient_checkpointing=True),
    "all": dataclasses.replace(ExecutionParams(), gradient_checkpointing=True),
}


@pytest.fixture
def model(model_params):
    return chosen(model_params, calibrate_global_bias=False)


@pytest.fixture
def run(tmp_path, vocabulary, model, small_visual, bags, params):
    """Train a fresh copy of the same network; returns (parameters on the CPU, steps' figures, log)."""

    def go(work, device, execution=PLAIN, **changes):
        section, steps = dataclasses.replace(params, **changes), []
        trained = small_model(vocabulary, model, small_visual)
        job = TrainingRun(section, "x", tmp_path / work, device, steps.append, execution)
        log = train(trained, vocabulary, bags, job)
        return {name: value.detach().cpu() for name, value in trained.network.named_parameters()}, steps, log

    return go


def assert_near(found, expected, start, share):
    """Parameters agree to a share of how far the run has moved any of them (why: see test_distributed)."""
    moved = max(float((expected[name] - value).abs().max()) for name, value in start.items())
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=share * moved)


@pytest.mark.parametrize("way", ["plain", *WAYS])
def test_training_gives_what_the_cpu_gives(run, device, vocabulary, model, small_visual, way):
    expected, expected_steps, _ = run("cpu", CPU)
    found, steps, log = run("here", device, WAYS.get(way, PLAIN))
    start = dict(small_model(vocabulary, model, small_visual).network.state_dict())
    assert_near(found, expected, {name: start[name] for name in expected}, 0.05)
    assert len(log.rows) == len(steps) == 4
    for mine, theirs in zip(steps, expected_steps, strict=True):
        assert mine | {"waiting": 0} == pytest.approx(theirs | {"waiting": 0}, rel=5e-3)


def test_mixed_precision_trains(run, device):
    _, exact, _ = run("exact", device)
    _, mixed, _ = run("mixed", device, ExecutionParams(), precision="bfloat16")
    for mine, theirs in zip(mixed, exact, strict=True):
        assert mine["global"] == pytest.approx(theirs["global"], rel=0.05)
        assert mine["pair"] == pytest.approx(theirs["pair"], rel=0.05)


@pytest.mark.slow
def test_a_compiled_backbone_gives_what_it_gave(vocabulary, model, small_visual, params, batch, device):
    plain_model = small_model(vocabulary, model, small_visual)
    network = plain_model.network.eval()
    twin = copy.deepcopy(network)
    place_network(network, PLAIN, device, moving_norms=False)
    place_network(twin, dataclasses.replace(PLAIN, compile=True), device, moving_norms=False)
    if device.type == "cpu":  # asked for on GPUs alone; here, traced but not translated
        twin.backbone.compile(backend="aot_eager")
    results = []
    for one in (network, twin):
        batch_loss = small_loss(dataclasses.replace(plain_model, network=one), vocabulary, params).to(device)
        given = fed(batch, vocabulary, device)
        total, _ = batch_loss(given.bags, given.pairs, counts_of(given.bags, given.pairs))
        total.backward()
        results.append([total.detach(), *(value.grad for value in one.backbone.trunk.parameters())])
    assert [name for name, _ in twin.named_parameters()] == [name for name, _ in network.named_parameters()]
    for plain, compiled in zip(*results, strict=True):
        torch.testing.assert_close(compiled, plain, rtol=1e-3, atol=1e-3 * float(plain.abs().max()) + 1e-6)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_one_kernel_for_all_parameters_steps_as_the_cpu_does(
    vocabulary, model, small_visual, params, device, memory_format
):
    networks = [small_model(vocabulary, model, small_visual).network for _ in range(2)]
    networks[1].to(device)
    networks[1].backbone.to(memory_format=memory_format)
    optimizers = [build_optimizer(network, params) for network in networks]
    assert bool(optimizers[1].defaults["fused"]) == (device.type == "cuda")
    generator = torch.Generator().manual_seed(0)
    for _ in range(3):
        for one, other in zip(*(network.parameters() for network in networks), strict=True):
            one.grad = torch.randn(one.shape, generator=generator)
            other.grad = torch.empty_like(other).copy_(one.grad)
        for optimizer in optimizers:
            optimizer.step()
    for one, other in zip(*(network.parameters() for network in networks), strict=True):
        torch.testing.assert_close(other.cpu(), one, rtol=1e-5, atol=1e-6)


def test_random_numbers_and_moments_are_resumed(tmp_path, vocabulary, model, small_visual, params, batch, device):
    dropping = chosen(model, calibrate_global_bias=False, dropout=0.3)

    def state_of():
        network = small_model(vocabulary, dropping, small_visual).network
        place_network(network, ExecutionParams(), device, moving_norms=False)
        optimizer = build_optimizer(network, params)
        return TrainingState(network, optimizer, build_schedule(optimizer, params, 9), device, ALONE)

    def figures(state):
        trained = dataclasses.replace(small_model(vocabulary, dropping, small_visual), network=state.network.train())
        batch_loss, given = small_loss(trained, vocabulary, params).to(device), fed(batch, vocabulary, device)
        return [optimizer_step(batch_loss, state.optimizer, [given], ALONE, gradient_clip=5.0) for _ in range(2)]

    first, second = state_of(), state_of()
    figures(first)
    log = TrainingLog(tmp_path / "log.csv", ("pair",), ["one row"])
    first.save(tmp_path / "point", digest="x", log=log)
    expected = figures(first)
    torch.manual_seed(12345)  # of every device
    assert second.load(tmp_path / "point", digest="x", log=log) == 1
    found = figures(second)
    torch.testing.assert_close(torch.stack(found), torch.stack(expected), rtol=1e-4, atol=1e-5)
    layouts = [
        [value.stride() for value in state.values() if value.ndim == 4] for state in second.optimizer.state.values()
    ]
    parameters = [parameter.stride() for parameter in second.optimizer.state]
    assert all(set(moments) <= {own} for moments, own in zip(layouts, parameters, strict=True))


def test_the_host_never_waits_for_a_step(vocabulary, model, small_visual, params, batch, device):
    """CUDA itself tells; on the CPU test_step does."""
    trained = small_model(vocabulary, model, small_visual)
    place_network(trained.network, ExecutionParams(), device, moving_norms=False)
    optimizer = build_optimizer(trained.network, params)
    batch_loss = small_loss(trained, vocabulary, params, params.precision).to(device)
    given = fed(batch, vocabulary, device)
    optimizer_step(batch_loss, optimizer, [given], ALONE, gradient_clip=5.0)  # libraries start, memory is found
    if device.type == "cuda":
        torch.cuda.set_sync_debug_mode("error")
    try:
        figures = optimizer_step(batch_loss, optimizer, [given], ALONE, gradient_clip=5.0)
    finally:
        if device.type == "cuda":
            torch.cuda.set_sync_debug_mode("default")
    assert figures.isfinite().all()
