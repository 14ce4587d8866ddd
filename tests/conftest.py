"""Shared fixtures: a vocabulary, params and a CLIP small enough for unit tests. No data, no GPU."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from pipeline.config.params import Params, load_params
from pipeline.core.bags import BagBatch
from pipeline.core.vocabulary import Vocabulary
from pipeline.methods.params import ModelParams
from pipeline.store.openai_clip import ModifiedResNet

ROOT = Path(__file__).parent.parent
LONGEST = ("test_hicodet", "test_vcoco", "test_end_to_end", "test_sharing", "test_kill", "test_resources")

torch.set_num_threads(1)  # the tensors of tests are small: more threads only wait for each other


def pytest_addoption(parser):
    parser.addoption("--seeds", type=int, default=1, metavar="N", help="run tests that take `seed` with seeds 0..N-1")


def pytest_generate_tests(metafunc):
    count = metafunc.config.getoption("seeds")
    if "seed" in metafunc.fixturenames and count > 1:
        metafunc.parametrize("seed", range(count), indirect=True, scope="session", ids="seed{}".format)


def pytest_collection_modifyitems(items):
    """The longest files come first, then slow ones, so that no worker ends with one while others have nothing."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: 0 if item.path.stem in LONGEST else 1 if item.path in slow else 2)


@pytest.fixture(scope="session")
def seed(request) -> int:
    """Seed of a test's random weights, images and boxes: 0, or each that `--seeds` asks for (CONTRIBUTING.md)."""
    return getattr(request, "param", 0)


@pytest.fixture(scope="session")
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
    """A Dask cluster of two worker processes; its dashboard's port is a free one, as several may run at once.

    It looks for a worker 15 s after this one was lost, and closes its place if another one was killed just then.
    """
    import dask
    from distributed import LocalCluster

    with (
        dask.config.set({"distributed.deploy.lost-worker-timeout": "1 hour"}),
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0", silence_logs="CRITICAL") as cluster,
    ):
        yield cluster


@pytest.fixture(scope="session")
def toyworld_params() -> Params:
    return load_params(ROOT / "params.yaml", "toyworld")


@pytest.fixture(scope="session")
def model_params(toyworld_params) -> ModelParams:
    sizes = {"spatial_hidden": 16, "pair_hidden": 16}
    settings = dict.fromkeys(("bilevel", "ppr_fcn", "prompt_classifier"), sizes) | {"clip_resnet": {"roi_size": 2}}
    settings["alignformer_like"] = {"queries": 6, "layers": 2, "width": 16, "heads": 2, "pair_hidden": 16}
    settings["regformer"] = {"width": 16, "heads": 2, "relevance_width": 8}
    return dataclasses.replace(toyworld_params[ModelParams], image_size=64, settings=settings)


@pytest.fixture
def small_visual(seed) -> ModifiedResNet:
    return random_visual(seed)


def random_visual(seed: int) -> ModifiedResNet:
    torch.manual_seed(seed)
    visual = ModifiedResNet(layers=[1, 1, 1, 1], output_dim=24, heads=4, input_resolution=64, width=8)
    for parameter in visual.parameters():  # no branch may start at zero, or a wrong one would go unseen
        torch.nn.init.normal_(parameter, std=0.2)
    return visual.eval()


def make_batch(counts: list[int], vocabulary: Vocabulary, *, side: int = 64, seed: int = 0) -> BagBatch:
    """A batch of random pixels and boxes with the given number of proposals per image.

    The seed changes neither categories nor labels: every second proposal is a human, the others are of each other
    category in turn; image i shows each third HOI class.
    """
    generator = torch.Generator().manual_seed(seed)
    total, human = sum(counts), vocabulary.human_object_id
    corner = torch.rand(total, 2, generator=generator) * 50
    extent = 4 + torch.rand(total, 2, generator=generator) * 40
    others = torch.tensor([row for row in range(vocabulary.num_objects) if row != human])
    rows, hois = torch.arange(total), torch.arange(vocabulary.num_hois)
    return BagBatch(
        images=torch.randn(len(counts), 3, side, side, generator=generator),
        features=torch.zeros(len(counts), 0, 0),
        image_sizes=torch.tensor([[100.0, 90.0]]).repeat(len(counts), 1),
        proposal_offsets=torch.tensor([0, *counts]).cumsum(0),
        boxes=torch.cat([corner, corner + extent], 1),
        scores=torch.linspace(1, 0.5, total),
        object_ids=torch.where(rows % 2 == 0, human, others[rows // 2 % len(others)]),
        class_probabilities=torch.zeros(total, 0),
        labels=((torch.arange(len(counts))[:, None] + hois) % 3 == 0).float(),
        pair_labels=torch.zeros(0, 3, dtype=torch.int64),
        has_boxes=torch.zeros(len(counts), dtype=torch.bool),
        image_index=torch.arange(len(counts)),
    )
