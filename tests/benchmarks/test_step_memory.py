import torch

from benchmarks import step_memory


def test_every_way_is_measured(measured, peak_in_this_process, monkeypatch):
    monkeypatch.setattr(step_memory, "peak_resident_bytes", peak_in_this_process)
    printed, figures = measured(step_memory.command, "--smoke", "--images=2")
    assert list(figures["peak_mib"]) == list(step_memory.WAYS)
    assert printed.count("2 images of 6 pairs") == len(step_memory.WAYS)
    assert figures["ratio"] == 1


def test_micro_batches_are_parts_of_one_batch():
    problem = step_memory.smoke(step_memory.Problem(step_memory.ENCODERS["rn50"], "hicodet", 6, 20, "float32"))
    device, way = torch.device("cpu"), step_memory.WAYS["micro_batch 1"]
    parts = problem.parts(3, device, way)
    assert [len(part.bags) for part in parts] == [1, 1, 1]
    assert {part.image_index for part in parts} == {(0, 1, 2)}
