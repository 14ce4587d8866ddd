import pytest
import torch

from pipeline.core.errors import ParamError
from stages._device import open_device


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
