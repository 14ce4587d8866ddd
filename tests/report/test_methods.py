from __future__ import annotations

import pytest

from pipeline.core.errors import ArtifactError
from pipeline.report.methods import PUBLISHED, methods_table, read_costs
from tests.report.test_study import STUDY, cells


def test_methods_stand_beside_what_was_published_and_what_they_cost(tmp_path):
    path = tmp_path / "costs.csv"
    path.write_text(
        "variant,parameters,trained,images_per_second,inference_ms\nours,1590000,1200000,17.46,18.2\n"
        "baseline,1000000,0,,4.8\n"
    )
    rows = cells(methods_table(STUDY, read_costs(path)))
    assert [row[0] for row in rows[2:]] == ["baseline", "ours"]  # in the order of PUBLISHED; other rows are no methods
    assert rows[3][2:5] == ["22.89", "2", "32.00 ± 2.83"]
    assert rows[3][-4:] == ["1.59", "1.2", "17.5", "18.2"]
    assert rows[2][-4:] == ["1", "0", "\N{EN DASH}", "4.8"]  # not trained
    assert [row[-4:] for row in cells(methods_table(STUDY, {}))[2:]] == [["\N{EN DASH}"] * 4] * 2
    assert methods_table({"extra": STUDY["extra"]}, {}) == ""


def test_reconstructions_are_called_so():
    assert all("reconstruction" in method.source for method in PUBLISHED if method.row.endswith("_like"))


def test_no_costs_are_no_fault_and_others_are(tmp_path):
    path = tmp_path / "costs.csv"
    assert read_costs(path) == {}
    path.write_text("variant,parameters\nours,1\n")
    with pytest.raises(ArtifactError, match=r"trained, .* missing; run python -m benchmarks.methods --write"):
        read_costs(path)
