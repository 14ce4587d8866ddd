import hashlib
import io

import h5py
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save
from scipy.io import savemat

from pipeline.core.errors import ArtifactError, DataError, WeightsError
from pipeline.data.images import open_image
from pipeline.evaluation.detections_file import read_hicodet_detections
from pipeline.store.bank_file import read_bank
from pipeline.store.clip_checkpoint import load_clip
from pipeline.store.file_content import content_of, first_line, published_fault, torch_fault
from pipeline.store.json_file import load_json
from pipeline.store.proposals_file import read_proposals
from pipeline.store.restricted_pickle import read_restricted_pickle
from pipeline.truth.hicodet_mat import read_hicodet_mat
from tests.other_files import LFS, OTHER_FILES

KINDS = ("torch", "safetensors", "hdf5", "mat", "npz", "image", "pickle")


def _bytes_of(write) -> bytes:
    stream = io.BytesIO()
    write(stream)
    return stream.getvalue()


def _hdf5(stream) -> None:
    with h5py.File(stream, "w") as file:
        file["a"] = np.arange(3)


TENSORS = {"a": torch.arange(300.0)}
SOUND = {
    "torch": _bytes_of(lambda stream: torch.save(TENSORS, stream)),
    "safetensors": save(TENSORS, {"config": "{}"}),
    "hdf5": _bytes_of(_hdf5),
    "mat": _bytes_of(lambda stream: savemat(stream, {"a": np.arange(3)})),
    "npz": _bytes_of(lambda stream: np.savez(stream, a=np.arange(3))),
    "image": _bytes_of(lambda stream: Image.new("RGB", (9, 9)).save(stream, "PNG")),
    "pickle": b"\x80\x04N.",
}
SUFFIX_IS_WRONG = {
    "torch": ("a file of torch.save", "give it the suffix .pt"),
    "safetensors": ("a safetensors file", "give it the suffix .safetensors"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", OTHER_FILES)
def test_what_lies_in_a_files_place_is_told(tmp_path, name, kind):
    data, what, remedy = OTHER_FILES[name]
    (tmp_path / "x").write_bytes(data)
    found = content_of(tmp_path / "x", kind)
    if name == "cut zip" and kind == "npz":
        what = "a zip archive cut short"
    assert found is not None and found.what.startswith(what) and found.remedy == remedy


@pytest.mark.parametrize("kind", KINDS)
def test_a_sound_file_is_known_in_its_place_and_told_elsewhere(tmp_path, kind):
    path = tmp_path / "x"
    for name, data in SOUND.items():
        path.write_bytes(data)
        same = name == kind or (name, kind) in {("hdf5", "mat"), ("mat", "hdf5"), ("pickle", "torch")}
        assert (content_of(path, kind) is None) == same, name
        if not same and name in SUFFIX_IS_WRONG:
            assert content_of(path, kind) == SUFFIX_IS_WRONG[name]


def test_safetensors_cut_short(tmp_path):
    path, whole = tmp_path / "x", SOUND["safetensors"]
    for length in (20, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert content_of(path, "safetensors") == ("a safetensors file cut short", "download it again")
    path.write_bytes(whole[:8] + whole[8:].replace(b"data_offsets", b"data_offset5", 1))
    assert content_of(path, "safetensors") == ("a damaged safetensors file", "download it again")


def test_what_cannot_be_told_is_left_open(tmp_path):
    path = tmp_path / "x"
    for data in (b"\x01\x02\x03\xff" * 500, bytes(2000) + b"\x01", b"text\xff" * 400):
        path.write_bytes(data)
        assert content_of(path, "torch") is None, data[:10]
    assert content_of(tmp_path / "none", "torch") is None
    path.write_bytes(b"a" + "ü".encode() * 600)  # the head ends within a character
    assert content_of(path, "torch").what.startswith('text, "aüü')


def test_a_file_is_the_published_one_or_told_by_its_content_and_digest(tmp_path):
    path = tmp_path / "x"
    for data, content in ((b"PK\x03\x04 cut", "a zip archive cut short; "), (b"\x00\x01\xff", "")):
        path.write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        assert published_fault(path, digest) is published_fault(path, digest[:8]) is None
        assert published_fault(path, "0123456789abcdef") == f"{content}sha256 {digest[:12]}, published 0123456789ab"


def test_first_lines():
    assert first_line(ValueError("a\nb")) == "a"
    assert first_line(EOFError()) == "EOFError"
    assert first_line(KeyError("config")) == "no 'config'"


@pytest.mark.parametrize(
    ("error", "what", "remedy"),
    [
        (RuntimeError("PytorchStreamReader failed reading zip archive"), "a damaged zip archive", "download it again"),
        (RuntimeError("Weights only: Unsupported global: GLOBAL a.B was not"), "it holds the Python object a.B", "r"),
        (RuntimeError("Weights only load failed"), "damaged, or not written by torch.save", "download it again, or r"),
        (IndexError("pop from empty list"), "damaged, or not written by torch.save", "download it again, or r"),
        (ValueError("it names builtins.print"), "it names builtins.print", "r"),
        (PermissionError(13, "Permission denied"), "Permission denied", "check the path and its permissions"),
    ],
)
def test_torchs_own_errors_are_shortened(tmp_path, error, what, remedy):
    (tmp_path / "x").write_bytes(b"\x80\x02 pickled")
    assert torch_fault(tmp_path / "x", error, "r") == (what, remedy)


READERS = {
    "x.pt": (lambda path: load_clip(str(path)), WeightsError, "neither a TorchScript archive nor a state dict"),
    "x.safetensors": (lambda path: load_clip(str(path)), WeightsError, "not a CLIP of ours"),
    "bank.h5": (read_bank, ArtifactError, "not a knowledge bank"),
    "proposals.h5": (read_proposals, ArtifactError, "not a proposals file"),
    "anno_bbox.mat": (lambda path: read_hicodet_mat(path, "test"), DataError, "not a readable MATLAB file"),
    "annotations.json": (load_json, DataError, "not "),
    "d.npz": (
        lambda path: read_hicodet_detections(path, np.zeros((0, 2), np.int64), 1),
        DataError,
        "not a readable npz file",
    ),
    "d.pkl": (read_restricted_pickle, DataError, "not a pickle of builtins"),
    "a.png": (open_image, DataError, "image cannot be decoded"),
}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize(("data", "what"), [(LFS, "a Git LFS pointer"), (b"<html></html>", "a web page")])
def test_every_reader_says_what_lies_there(tmp_path, name, data, what):
    read, error, part = READERS[name]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(error) as caught:
        read(tmp_path / name)
    message = str(caught.value)
    assert message.startswith(str(tmp_path / name)) and part in message and what in message


@pytest.mark.parametrize("legacy", [False, True])
def test_no_damage_of_a_torch_file_ends_in_another_error(tmp_path, legacy):
    path, random = tmp_path / "x.pt", np.random.default_rng(0)
    torch.save({"a": torch.zeros(2)}, path, _use_new_zipfile_serialization=not legacy)
    whole = np.frombuffer(path.read_bytes(), np.uint8)
    for _ in range(150):
        damaged = whole.copy()
        damaged[random.integers(len(damaged), size=2)] = random.integers(256, size=2)
        path.write_bytes(damaged.tobytes())
        with pytest.raises(WeightsError):  # what can be read still is the state dict of another network
            load_clip(str(path))
