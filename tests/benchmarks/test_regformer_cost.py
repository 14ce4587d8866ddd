from benchmarks import regformer_cost
from benchmarks.regformer_cost import MEASURED, PASSES, REFERENCE, SIZES, command


def test_the_measured_row_trains_without_proposals_and_both_see_the_same_at_inference():
    problem = SIZES["toyworld"]
    with_pairs, without = (problem.batch(with_proposals=choice) for choice in (True, False))
    assert len(with_pairs.pairs) >= 2 * problem.humans * (problem.proposals - problem.humans)
    assert len(without.pairs) == len(without.bags.boxes) == 0
    assert (with_pairs.bags.images == without.bags.images).all() and (without.bags.labels.sum(1) > 0).all()
    losses = [problem.training(MEASURED)() for _ in range(2)]
    assert losses[0].isfinite().all()
    for variant in (REFERENCE, MEASURED):
        assert len(problem.inference(variant)()["interaction_logits"]) == len(with_pairs.pairs)


def test_figures_are_written(measured, peak_in_this_process, monkeypatch):
    monkeypatch.setattr(regformer_cost, "peak_resident_bytes", peak_in_this_process)
    printed, figures = measured(command, "--size=toyworld", "--runs=1", "--threads=1")
    assert figures["ratio"] == figures["training"]["ratio"] > 0 and figures["floor_ratio"] > 0
    for work in PASSES:
        assert figures[work]["memory_ratio"] == 1
        assert set(figures[work]["seconds_per_image"]) == {REFERENCE, MEASURED}
    assert printed.count(" MiB") == len(PASSES)
