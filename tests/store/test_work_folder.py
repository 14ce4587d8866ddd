import numpy as np
import pytest
import torch

from pipeline.core.errors import ArtifactError
from pipeline.store.parts import PartPlan
from pipeline.store.work_folder import load_tensors, save_tensors, tell_of_other_work, work_folder

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


@pytest.fixture
def tensors() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return {
        "weight": torch.randn(3, 4),
        "step": torch.tensor(7.0),
        "rng": torch.arange(5, dtype=torch.uint8),
        "ids": torch.arange(6).view(2, 3).T,  # not contiguous
        "half": torch.ones(2, dtype=torch.bfloat16),
        "none": torch.zeros(0, 4),
        "mask": torch.tensor([True, False]),
    }


def test_round_trip(tmp_path, tensors):
    path = tmp_path / "x.safetensors"
    assert load_tensors(path) is None
    save_tensors(path, tensors, {"iteration": 3, "digest": "ü"})
    found, values = load_tensors(path)
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[name], value) and found[name].dtype == value.dtype for name, value in tensors.items())
    assert values == {"iteration": 3, "digest": "ü"}


def test_every_damaged_byte_is_noticed(tmp_path, tensors):
    """safetensors has no checksum of its own: it would notice damage of the header only."""
    path = tmp_path / "x.safetensors"
    save_tensors(path, tensors, {"iteration": 3})
    whole = path.read_bytes()
    unseen = []
    for position in range(len(whole)):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 1]) + whole[position + 1 :])
        found = load_tensors(path)
        if found is not None:
            same = found[1] == {"iteration": 3} and found[0].keys() == tensors.keys()
            if not (same and all(torch.equal(found[0][name], value) for name, value in tensors.items())):
                unseen.append(position)
    assert unseen == []
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        assert load_tensors(path) is None
    path.write_bytes(whole)
    assert load_tensors(path) is not None


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError, match=r"x: cannot be written \(File exists\)"):
        save_tensors(tmp_path / "file" / "x", {"a": torch.from_numpy(np.zeros(2))})
