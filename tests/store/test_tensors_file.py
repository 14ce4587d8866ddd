import numpy as np
import pytest
import torch

from pipeline.core.errors import ArtifactError
from pipeline.store.tensors_file import load_tensors, save_tensors


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
    """safetensors itself has no checksum: of these bytes it would notice those of the header alone."""
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
