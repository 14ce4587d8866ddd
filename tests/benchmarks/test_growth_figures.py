import numpy as np
import pytest

from benchmarks import growth_figures


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_exponent_leaves_out_what_does_not_grow(power):
    sizes = [50, 200, 800]
    assert growth_figures.exponent(sizes, [7 + 0.1 * size**power for size in sizes]) == pytest.approx(power)
    assert np.isnan(growth_figures.exponent(sizes, [7, 7, 8]))
    assert growth_figures.exponent(sizes, [7, 8, 9]) == pytest.approx(0)


@pytest.mark.parametrize("power", [-0.5, 0.5, 1.0, 2.0])
def test_exponent_through_unequal_steps(power):
    sizes = [3.1, 7.5, 11.2]
    assert growth_figures.exponent(sizes, [7 + power * 0.1 * size**power for size in sizes]) == pytest.approx(power)
    assert growth_figures.exponent(sizes, np.log(sizes).tolist()) == pytest.approx(0, abs=1e-8)


def test_uncertainty_of_the_exponent_is_that_of_many_noisy_benchmarks():
    sizes, noise = [400, 1600, 6400], [0.2, 0.3, 0.4]
    values = [4 + 0.02 * size for size in sizes]
    drawn = values + np.random.default_rng(0).normal(size=(2000, 3)) * noise
    found = np.std([growth_figures.exponent(sizes, row) for row in drawn.tolist()])
    assert growth_figures.exponent_uncertainty(sizes, values, noise) == pytest.approx(found, rel=0.05)
    assert np.isnan(growth_figures.exponent_uncertainty(sizes, [7, 7, 8], noise))
    assert np.isnan(growth_figures.exponent_uncertainty(sizes, values, [np.nan] * 3))


def test_uncertainty_of_medians():
    first, second, third = growth_figures.uncertainties([[1, 2, 3], [0, 4, 8], [100]])
    assert second == pytest.approx(4 * np.sqrt(np.pi / 6)) == pytest.approx(4 * first)
    assert third == 4  # ran once: the larger deviation of the others, not divided
    assert np.isnan(growth_figures.uncertainties([[1], [2], [3]])).all()


def runs_of(*seconds):
    """One list of seconds for each size."""
    return [[growth_figures.Cost(each, 2 * each, 300 * 2**20) for each in values] for values in seconds]


def figures_of(*seconds, sizes=(1, 4, 16), items=1.0):
    return growth_figures.summary(sizes, {"train": runs_of(*seconds)}, items=items)["train"]


def test_figures_are_of_medians_and_every_run_stays():
    figures = figures_of([1.1, 1.0, 9.0], [2.0, 2.2, 1.9], [6.0], items=10)
    assert figures["cpu_seconds"] == [1.1, 2.0, 6.0]
    assert [[run["cpu_seconds"] for run in runs] for runs in figures["runs"]] == [[1.1, 1.0, 9.0], [2.0, 2.2, 1.9], [6]]
    assert figures["marginal_ms"] == pytest.approx([30, 1e3 * 4 / 120])
    assert figures["marginal_uncertainty"][0] == pytest.approx(1e3 * np.hypot(*figures["uncertainty"][:2]) / 30)
    assert figures["memory_growth"] == 1


@pytest.mark.parametrize(
    ("seconds", "verdict"),
    [
        (([1, 1.1], [2, 2.1], [6]), "1 or below, within uncertainty"),
        (([1, 1.1], [2, 2.1], [18]), "above 1 by more than uncertainty"),
        (([1, 2], [1, 2], [2]), "rise within noise: exponent means nothing"),
        (([3, 3.1], [2, 2.1], [18]), "no exponent: does not rise at each step"),
        (([1], [2], [18]), "one run: uncertainty unknown"),
        (([2], [3], [1]), "does not rise"),
    ],
)
def test_verdicts(seconds, verdict):
    figures = figures_of(*seconds)
    assert figures["verdict"] == verdict
    assert figures["above_noise"] == (verdict != "does not rise" and not verdict.startswith("rise"))


def test_a_cost_below_its_uncertainty_is_marked_and_printed(capsys):
    growth_figures.print_table("image", {"train": figures_of([1, 2], [1, 2.2], [60])})
    line = capsys.readouterr().out.splitlines()[2]
    assert line.startswith("train")
    assert line.count("*") == 1 and "33.333" in line


@pytest.mark.filterwarnings("error")
def test_drawing(tmp_path):
    figures = growth_figures.summary([1, 4, 16], {"train": runs_of([1.0, 1.2], [2.0, 2.2], [6.0])})
    growth_figures.draw(tmp_path / "plots/growth.png", {"images": ([1, 4, 16], figures)})
    assert (tmp_path / "plots/growth.png").read_bytes().startswith(b"\x89PNG")
