import importlib
import json
import time

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks import growth
from pipeline.config.params import load_params, load_run_variants
from pipeline.config.run import Run
from pipeline.detection.params import DetectParams
from pipeline.store.proposals_file import SplitProposals
from pipeline.truth.params import PrepareParams


def test_repeated_objects_make_as_many_times_the_pairs():
    """One person with three objects, an image without any, two people with one."""
    proposals = SplitProposals(
        image_ids=("a", "b", "c"),
        objects=("person", "cup"),
        detector="x",
        offsets=np.array([0, 4, 4, 7]),
        boxes=np.arange(28, dtype=np.float32).reshape(7, 4),
        scores=np.linspace(0.9, 0.3, 7).astype(np.float32),
        object_ids=np.array([1, 0, 1, 1, 0, 1, 0]),
    )
    more = growth.repeat_objects(proposals, 2, human_object_id=0)
    assert more.offsets.tolist() == [0, 7, 7, 11]
    assert more.object_ids.tolist() == [1, 1, 0, 1, 1, 1, 1, 0, 1, 1, 0]
    np.testing.assert_array_equal(more.boxes[1] - more.boxes[0], [1, 0, 1, 0])
    assert (np.diff(more.scores[:7]) <= 0).all()  # still by falling score
    same = growth.repeat_objects(proposals, 1, human_object_id=0)
    np.testing.assert_array_equal(same.boxes, proposals.boxes)


def test_a_scratch_root_is_of_the_size_asked_for_and_its_stages_are_commands(tmp_path):
    layout = growth.write_root(tmp_path, 9)
    params = load_params(layout.params, "toyworld", Run("ours"))
    assert params[PrepareParams].num_images == {"train": 9, "val": 1, "test": 9}
    assert load_run_variants(layout.params) == ("ours",)
    assert params[DetectParams].weights is not None and (tmp_path / params[DetectParams].weights).is_file()
    for module, *arguments in growth.STAGES.values():
        command = importlib.import_module(f"stages.{module}").command
        command.make_context(module, [*arguments, "--root", str(tmp_path)]).close()


def test_a_stage_that_fails_is_told_by_its_last_line(tmp_path):
    growth.write_root(tmp_path, 4)
    with pytest.raises(growth.click.ClickException, match="vocabulary"):
        growth.run_stage("evaluate", tmp_path)


def test_the_largest_size_runs_once_and_the_others_in_rounds():
    assert growth._rounds(3, 2, once=(2,)) == [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1)]
    assert growth._rounds(2, 2) == [(0, 0), (0, 1), (1, 0), (1, 1)]


def run_here(name, root):
    """A stage in this process: starting one process for each run takes two minutes."""
    module, *arguments = growth.STAGES[name]
    start = time.process_time()
    done = CliRunner().invoke(importlib.import_module(f"stages.{module}").command, [*arguments, "--root", str(root)])
    assert done.exit_code == 0, done.output
    return growth.Cost(time.process_time() - start, time.process_time() - start, 300 * 2**20)


@pytest.mark.slow
def test_the_command_writes_figures_and_picture(tmp_path, monkeypatch, peak_in_this_process):
    """All of it, with few images; `prepare` at the smallest size alone is a process of its own."""
    monkeypatch.setattr("benchmarks.real_sizes.peak_resident_bytes", peak_in_this_process)
    as_process = growth.run_stage
    seen = []

    def run_stage(name, root):
        outputs = {path for path in (root / "cache").rglob("*") if path.name.startswith("ours")}
        seen.append((name, root.name, sorted(path.name for path in outputs)))
        return (as_process if (name, root.name) == ("prepare", "images-1") else run_here)(name, root)

    monkeypatch.setattr(growth, "run_stage", run_stage)
    output, plot = tmp_path / "growth.json", tmp_path / "growth.png"
    call = ["--base", "4", "--runs", "1", "--evaluated-images", "8", "--manifest-images", "50"]
    done = CliRunner().invoke(growth.command, [*call, "--json", str(output), "--plot", str(plot)])
    assert done.exit_code == 0, done.output
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert [outputs for name, _, outputs in seen if name == "train"] == [[]] * 6  # each starts with none of another's

    figures = json.loads(output.read_text(), parse_constant=lambda text: pytest.fail(f"{text} is not JSON"))
    assert figures["images"] == [4, 16, 64]
    assert figures["pairs_per_image"] == sorted(set(figures["pairs_per_image"]))
    assert list(figures["by_images"]) == list(growth.MEASURED) and list(figures["by_pairs"]) == list(growth.OF_PAIRS)
    assert list(figures["other_runs"]) == ["detect train", "encode_prompts"]
    for stage in (*figures["by_images"].values(), *figures["by_pairs"].values()):
        assert [len(runs) for runs in stage["runs"]] == [1, 1, 1]
        assert stage["cpu_seconds"] == [runs[0]["cpu_seconds"] for runs in stage["runs"]]
        assert len(stage["marginal_ms"]) == 2
        assert stage["exponent_uncertainty"] is None and stage["marginal_uncertainty"] == [None, None]
        assert {"exponent", "above_noise", "verdict", "uncertainty", "memory_growth", "peak_mib"} <= set(stage)
    numbers = [
        stage["exponent"] for name, stage in figures["by_images"].items() if name not in figures["ratio_leaves_out"]
    ]
    assert figures["ratio"] == max(numbers, default=None)
    assert figures["floor_ratio"] > 0
    assert [each["images"] for each in figures["evaluate_at_real_sizes"]] == [8]
    assert figures["manifest"]["images"] == 50
    for name in growth.MEASURED:
        assert name in done.output
