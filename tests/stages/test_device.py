import pytest
import torch
from torch import nn

from pipeline.core.errors import ParamError
from stages._device import open_device, place

cuda = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]


@pytest.fixture
def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4, 2))


def channels_last(network: nn.Module) -> bool:
    weight = network[0].weight
    return weight.is_contiguous(memory_format=torch.channels_last) and not weight.is_contiguous()


def test_devices_that_do_not_exist_are_named():
    with pytest.raises(ParamError, match='"gpu" is not a device; expected auto, cpu, cuda or cuda:N'):
        open_device("gpu")


@pytest.mark.parametrize(
    ("device", "wanted", "found"),
    [
        ("cpu", True, False),
        ("cpu", False, False),
        pytest.param("cuda", True, True, marks=cuda),
        pytest.param("cuda", False, False, marks=cuda),
    ],
)
def test_convolutions_are_channels_last_on_cuda_alone(network, device, wanted, found):
    placed = place(network, torch.device(device), channels_last=wanted)
    assert placed is network
    assert channels_last(placed) == found
    assert placed[2].weight.device.type == device
