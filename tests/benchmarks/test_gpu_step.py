import pytest
import torch

from benchmarks.gpu_step import ENCODERS, WAYS, Problem, command, largest, nominal_rate, smoke

pytestmark = pytest.mark.slow

PROBLEM = Problem(ENCODERS["rn50"], "hicodet", humans=6, proposals=30, precision="bfloat16")


@pytest.mark.skipif(torch.cuda.is_available(), reason="a CUDA device is visible")
def test_without_a_gpu_nothing_is_measured(measured):
    printed, figures = measured(command)
    assert "no CUDA device is visible" in printed
    assert figures["skipped"]
    assert "ratio" not in figures


@pytest.mark.parametrize(
    ("precision", "ways"),
    [("bfloat16", [name for name in WAYS if name != "compile"]), ("float32", ["plain", "checkpointing"])],
)
def test_its_whole_code_runs_on_the_cpu(measured, precision, ways):
    options = ["--device=cpu", "--smoke", "--batch=2", "--limit=4", "--runs=1", f"--precision={precision}"]
    printed, figures = measured(command, *options, "--encoder=rn50", *(f"--way={name}" for name in ways))
    rows = figures["encoders"]["rn50"]
    assert set(ways) < set(rows)
    assert rows["checkpointing, largest batch"]["batch"] == 4
    assert figures["ratio"] >= 1
    assert figures["floor_ratio"] == pytest.approx(1 / max(rows[name]["fraction_of_peak"] for name in ways))
    assert all(row["gflops"] > 0 and row["images_per_second"] > 0 for row in rows.values())
    assert printed.count("images/s") == len(rows)


@pytest.mark.parametrize("true", [24, 25, 47, 48, 100, 511, 600])
def test_the_largest_batch_is_found_to_a_sixteenth(true):
    asked = []

    def fits(images):
        asked.append(images)
        return images <= true

    found = largest(fits, 24, 512)
    assert min(true, 512) * 15 / 16 - 1 <= found <= min(true, 512)
    assert max(asked, default=24) <= 512
    assert len(asked) < 15


def test_operations_grow_with_the_batch():
    tiny = smoke(PROBLEM)
    assert tiny.flops(4, torch.device("cpu")) == pytest.approx(2 * tiny.flops(2, torch.device("cpu")), rel=0.01)
    assert PROBLEM.pairs == 6 * 29


def test_nominal_rates_by_name():
    assert nominal_rate("NVIDIA H100 80GB HBM3") == 989e12
    assert nominal_rate("NVIDIA H100 PCIe") == 756e12
    assert nominal_rate("GeForce 9000") is None
