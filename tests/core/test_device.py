import pytest
import torch
from torch import nn

from pipeline.core.device import memory_format, open_device, place
from pipeline.core.errors import ParamError

cuda = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]


@pytest.fixture
def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4, 2))


def channels_last(network: nn.Module) -> bool:
    weight = network[0].weight
    return weight.is_contiguous(memory_format=torch.channels_last) and not weight.is_contiguous()


def test_channels_last_is_of_cuda_alone():
    assert memory_format(torch.device("cuda:1"), channels_last=True) == torch.channels_last
    for device, wanted in (("cpu", True), ("cpu", False), ("cuda", False)):
        assert memory_format(torch.device(device), channels_last=wanted) == torch.contiguous_format


@pytest.mark.parametrize(
    ("device", "wanted", "found"),
    [
        ("cpu", True, False),
        ("cpu", False, False),
        pytest.param("cuda", True, True, marks=cuda),
        pytest.param("cuda", False, False, marks=cuda),
    ],
)
def test_convolutions_are_placed_in_that_format(network, device, wanted, found):
    placed = place(network, torch.device(device), channels_last=wanted)
    assert placed is network
    assert channels_last(placed) == found
    assert placed[2].weight.device.type == device


def test_on_the_cpu_a_network_stays_as_it_is(network):
    network.to(memory_format=torch.channels_last)
    assert channels_last(place(network, torch.device("cpu"), channels_last=False))


def test_devices_that_do_not_exist_are_named():
    with pytest.raises(ParamError, match='"gpu" is not a device; expected auto, cpu, cuda or cuda:N'):
        open_device("gpu")


@pytest.fixture
def gpus(monkeypatch):
    """Two GPUs that nobody computes on."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    chosen = []
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    monkeypatch.setattr(torch, "use_deterministic_algorithms", lambda *_, **__: None)
    monkeypatch.setattr(torch.utils.deterministic, "fill_uninitialized_memory", True)
    return chosen


@pytest.mark.parametrize("name", ["auto", "cuda"])
def test_each_rank_gets_its_own_gpu(gpus, name):
    assert open_device(name) == torch.device("cuda")
    assert gpus == []
    assert open_device(name, local_rank=1) == torch.device("cuda", 1)
    assert gpus == [torch.device("cuda", 1)]


def test_more_ranks_than_gpus_or_one_gpu_for_all(gpus):
    with pytest.raises(ParamError, match=r"rank 2 of this machine has no GPU, 2 are visible; use --nproc-per-node 2"):
        open_device("auto", local_rank=2)
    with pytest.raises(ParamError, match=r"\"cuda:0\" is one GPU, and torchrun started several ranks"):
        open_device("cuda:0", local_rank=0)
    assert open_device("cuda:1") == torch.device("cuda", 1)


def test_ranks_on_the_cpu_share_it():
    assert open_device("cpu", local_rank=3) == torch.device("cpu")
