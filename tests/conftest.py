"""Shared fixtures: a vocabulary, params and a CLIP small enough for unit tests. No data, no GPU."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from clip.model import ModifiedResNet

from pipeline.core.bags import BagBatch
from pipeline.core.params import DatasetParams, ModelParams, load_params
from pipeline.core.vocabulary import Vocabulary

ROOT = Path(__file__).parent.parent

torch.set_num_threads(1)  # the tensors of tests are small: more threads only wait for each other


@pytest.fixture
def vocabulary() -> Vocabulary:
    return Vocabulary(
        objects=("person", "bicycle", "cup", "lamp"),
        verbs=("ride", "hold", "drink_with"),
        hoi_classes=((0, 1), (1, 1), (1, 2), (2, 2)),
    )


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request, monkeypatch) -> torch.device:
    """The CPU, then a GPU where there is one: what runs on both is compared with the CPU, in full float32."""
    if request.param == "cuda":
        if not torch.cuda.is_available():
            pytest.skip("no CUDA device")
        monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
        monkeypatch.setattr(torch.backends.cuda.matmul, "allow_tf32", False)
    return torch.device(request.param)


@pytest.fixture(scope="module")
def cluster():
    """A Dask cluster of three worker processes; its dashboard's port is a free one, as several may run at once."""
    from distributed import LocalCluster

    with LocalCluster(n_workers=3, threads_per_worker=1, dashboard_address=":0", silence_logs="CRITICAL") as cluster:
        yield cluster


@pytest.fixture
def toyworld_params() -> DatasetParams:
    return load_params(ROOT / "params.yaml", "toyworld")


@pytest.fixture
def model_params(toyworld_params) -> ModelParams:
    sizes = {"spatial_hidden": 16, "pair_hidden": 16}
    settings = dict.fromkeys(("bilevel", "ppr_fcn", "prompt_classifier"), sizes) | {"clip_resnet": {"roi_size": 2}}
    return dataclasses.replace(toyworld_params.model, image_size=64, settings=settings)


@pytest.fixture
def small_visual() -> ModifiedResNet:
    torch.manual_seed(0)
    visual = ModifiedResNet(layers=[1, 1, 1, 1], output_dim=24, heads=4, input_resolution=64, width=8)
    for parameter in visual.parameters():  # no branch may start at zero, or a wrong one would go unseen
        torch.nn.init.normal_(parameter, std=0.2)
    return visual.eval()


def make_batch(counts: list[int], vocabulary: Vocabulary, *, side: int = 64, seed: int = 0) -> BagBatch:
    """A random batch with the given number of proposals per image."""
    generator = torch.Generator().manual_seed(seed)
    total = sum(counts)
    corner = torch.rand(total, 2, generator=generator) * 50
    extent = 4 + torch.rand(total, 2, generator=generator) * 40
    return BagBatch(
        images=torch.randn(len(counts), 3, side, side, generator=generator),
        image_sizes=torch.tensor([[100.0, 90.0]]).repeat(len(counts), 1),
        proposal_offsets=torch.tensor([0, *counts]).cumsum(0),
        boxes=torch.cat([corner, corner + extent], 1),
        object_ids=torch.randint(0, vocabulary.num_objects, (total,), generator=generator),
        labels=(torch.rand(len(counts), vocabulary.num_hois, generator=generator) < 0.4).float(),
        image_index=torch.arange(len(counts)),
    )
