import pickle
import zipfile

import pytest
import torch
from torch import nn

from pipeline.core.errors import WeightsError
from pipeline.store.clip_checkpoint import load_clip
from pipeline.store.torchscript_file import is_torchscript, read_torchscript

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.*", "ignore::torch.jit.TracerWarning")


class Eager(nn.Module):
    """A module whose archive runs code when it is loaded as a program: it prints."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3))

    @torch.jit.export
    def __getstate__(self) -> tuple[torch.Tensor, bool]:
        return self.weight, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[torch.Tensor, bool]) -> None:
        print("code ran")  # noqa: T201
        self.weight, self.training = state


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ModuleDict({"a": nn.Linear(2, 2).half()})["a"], nn.Embedding(3, 2)
    )


def test_the_tensors_are_those_of_torch(tmp_path, network):
    path = tmp_path / "network.pt"
    network[0].register_buffer("column", torch.arange(6.0).view(2, 3)[:, 1])  # not contiguous
    torch.jit.save(torch.jit.script(network), str(path))
    expected = torch.jit.load(str(path)).state_dict()
    found = read_torchscript(path)
    assert is_torchscript(path)
    assert found.keys() == expected.keys() and "1.num_batches_tracked" in found
    assert all(torch.equal(found[name], value) and found[name].dtype == value.dtype for name, value in expected.items())


def test_the_program_is_not_run(tmp_path, capfd):
    path = tmp_path / "eager.pt"
    torch.jit.save(torch.jit.script(Eager()), str(path))
    capfd.readouterr()
    torch.jit.load(str(path))
    assert "code ran" in capfd.readouterr().out  # as torch does it
    with pytest.raises(WeightsError):
        load_clip(str(path))
    assert "code ran" not in capfd.readouterr().out


class Caller:
    def __reduce__(self):
        return print, ("code ran",)


def _archive(path, data: bytes, compression=zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("x/data.pkl", data)
        archive.writestr("x/constants.pkl", b"")


def test_a_pickle_that_names_anything_else_is_refused(tmp_path, capfd):
    path = tmp_path / "x.pt"
    _archive(path, pickle.dumps(Caller()))
    with pytest.raises(WeightsError, match=r"x.pt: neither a TorchScript .*it names builtins.print"):
        load_clip(str(path))
    assert capfd.readouterr().out == ""


def test_damaged_archives_are_refused(tmp_path, network):
    path = tmp_path / "network.pt"
    torch.jit.save(torch.jit.script(network), str(path))
    whole = path.read_bytes()
    for length in (0, 100, len(whole) // 2, len(whole) - 30):
        path.write_bytes(whole[:length])
        with pytest.raises(WeightsError, match="neither a TorchScript archive nor a state dict"):
            load_clip(str(path))
    _archive(path, pickle.dumps([]), zipfile.ZIP_DEFLATED)
    with pytest.raises(ValueError, match=r"data.pkl is compressed"):
        read_torchscript(path)
    _archive(path, pickle.dumps([1]))
    with pytest.raises(ValueError, match="vars"):
        read_torchscript(path)
