from benchmarks import plan


def test_a_step_and_inference_are_planned_and_measured(measured, peak_in_this_process, monkeypatch):
    monkeypatch.setattr(plan, "peak_resident_bytes", peak_in_this_process)
    names = ("RN50, micro_batch 1", "RN50, inference, 30 people")
    printed, figures = measured(plan.command, "--smoke", *(f"--case={name}" for name in names))
    assert [*figures["cases"]] == [*names]
    assert all(row["planned_mib"] > 100 for row in figures["cases"].values())
    assert printed.count("measured 0 MiB") == 2
