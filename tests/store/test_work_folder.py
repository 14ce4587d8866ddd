from __future__ import annotations

import numpy as np

from pipeline.store.parts import PartPlan
from pipeline.store.work_folder import tell_of_other_work, work_folder

OWN, OTHER = "a" * 64, "b" * 64


def lines(folder) -> list[str]:
    found: list[str] = []
    tell_of_other_work(folder, OWN, found.append)
    return found


def test_parts_of_another_key_are_told_of_and_left_alone(tmp_path):
    assert lines(tmp_path / "none") == []
    for key, count in ((OWN, 1), (OTHER, 2)):
        for start in range(count):
            PartPlan(tmp_path, key, 2, 1).write(start, start + 1, {"x": np.zeros(1)})
    (line,) = lines(tmp_path)
    assert line.startswith(
        f"{work_folder(tmp_path, OTHER)}: 2 files of a run that was stopped, with other inputs, params"
    )
    assert "set aside, and removed when this run ends" in line and "\n" not in line
    assert len(list(tmp_path.rglob("*.safetensors"))) == 3
    assert not PartPlan(tmp_path, OWN, 2, 1).is_done(1, 2)


def test_a_folder_that_holds_nothing_finished_is_no_matter(tmp_path):
    work_folder(tmp_path, OTHER).mkdir()
    (work_folder(tmp_path, OTHER) / ".1.safetensors.123.tmp").write_text("")
    (tmp_path / "log.csv").write_text("")
    assert lines(tmp_path) == []
