import pytest

from benchmarks.frozen_features import MEASURED, REFERENCE, WAYS, command

pytestmark = pytest.mark.slow


def test_three_ways_are_measured_side_by_side(measured):
    printed, figures = measured(command, "--device=cpu", "--images=16", "--epochs=1", "--runs=1", "--clock=cpu")
    speeds = figures["images_per_second"]
    assert set(speeds) == set(WAYS) and all(speed > 0 for speed in speeds.values())
    assert figures["ratio"] == pytest.approx(speeds[MEASURED] / speeds[REFERENCE])
    assert figures["ratio_to_trained"] == pytest.approx(speeds[MEASURED] / speeds["trained, from images"])
    assert figures["features_bytes_per_image"] == pytest.approx(2 * 2 * 512 * 10 * 10, rel=0.01)
    assert f"{MEASURED}: " in printed
