"""Where memory runs out in a step, one line names the settings to change and their values."""

import dataclasses

import pytest
import torch

from pipeline.config.params import ExecutionParams
from pipeline.core.errors import NoMemoryError
from pipeline.methods.alignformer_like import method as alignformer_like
from pipeline.methods.bilevel import method as bilevel
from pipeline.methods.regformer import method as regformer
from pipeline.training import loop
from pipeline.training.loop import TrainingRun, train
from pipeline.training.memory import memory_explained
from tests.small_model import small_model

OUT_OF_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 3.00 GiB.\nGPU 0 has 79 GiB"),
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes."),
    MemoryError(),
]


def remedy(params, method=bilevel.Bilevel, share=24, **execution):
    with (
        pytest.raises(NoMemoryError) as caught,
        memory_explained(method(None), params, ExecutionParams(**execution), share=share),
    ):
        raise MemoryError("x")
    return str(caught.value).removeprefix("memory ran out (x); ")


def test_what_to_change_and_to_what(params):
    params = dataclasses.replace(params, max_proposals=30, batch_size=24)
    fewer = "train.max_proposals to 20 (now 30), which has about half of the pairs"
    assert remedy(params) == (
        "set execution.micro_batch to 12 (now 24 images at once) or execution.gradient_checkpointing to true, with the "
        f"same results, or set {fewer}, with other results"
    )
    assert remedy(params, micro_batch=3, gradient_checkpointing=True) == (
        "set execution.micro_batch to 1 (now 3 images at once), with the same results, or "
        f"set {fewer}, with other results"
    )
    assert remedy(params, micro_batch=1, gradient_checkpointing=True) == (
        f"set {fewer} or train.batch_size to 12 (now 24), with other results"
    )
    assert "micro_batch" not in remedy(params, alignformer_like.AlignFormerLike)
    assert "max_proposals" not in remedy(params, regformer.RegFormer)
    assert remedy(dataclasses.replace(params, freeze_batch_norm=False)).startswith(f"set {fewer} or train.batch_size")


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=lambda error: type(error).__name__)
def test_a_step_that_runs_out_of_memory_says_so(
    error, vocabulary, model_params, small_visual, bags, params, tmp_path, monkeypatch
):
    def fails(*_, **__):
        raise error

    monkeypatch.setattr(loop, "optimizer_step", fails)
    run = TrainingRun(params, "x", tmp_path, torch.device("cpu"), progress=pytest.fail)
    with pytest.raises(NoMemoryError, match=r"^memory ran out .*; set execution.micro_batch to 2 \(now 5 images"):
        train(small_model(vocabulary, model_params, small_visual), vocabulary, bags, run)


def test_other_errors_stay(params):
    with (
        pytest.raises(RuntimeError, match=r"^shape$"),
        memory_explained(bilevel.Bilevel(None), params, ExecutionParams(), share=2),
    ):
        raise RuntimeError("shape")
