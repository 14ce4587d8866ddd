"""If a machine lacks threads, memory or open files, no reader calls its file damaged."""

import errno
from pathlib import Path, PosixPath

import h5py
import numpy as np
import pytest
import torch
import zarr
from PIL import Image

from pipeline.core.errors import ResourceError, resource_error
from pipeline.data import images
from pipeline.detection import detectors
from pipeline.evaluation.detections_file import read_hicodet_detections
from pipeline.store import checkpoint, clip_checkpoint, parts, work_folder
from pipeline.store.bank_file import read_bank
from pipeline.store.detections_dump import open_detections
from pipeline.store.dump import open_dump, read_dump, write_dump
from pipeline.store.files import read_json
from pipeline.store.proposals_file import read_proposals
from pipeline.store.representations_file import read_representations
from pipeline.store.restricted_pickle import read_restricted_pickle
from tests.store.records import make_dump

NO_FILE, NO_THREAD = OSError(errno.EMFILE, "Too many open files"), RuntimeError("can't start new thread")
PLAN = parts.PartPlan(Path("parts"), "digest", 1, 1)
NO_MEMORY = RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes")


def failing(error):
    def fail(*arguments, **keywords):
        raise error

    return fail


@pytest.mark.parametrize(
    ("read", "owner", "name", "error"),
    [
        (open_dump, zarr, "open_group", NO_THREAD),
        (open_detections, zarr, "open_group", NO_FILE),
        (read_proposals, h5py, "File", NO_FILE),
        (read_bank, h5py, "File", NO_FILE),
        (read_representations, h5py, "File", NO_FILE),
        (lambda path: checkpoint.load_checkpoint(path.parent), checkpoint, "load_file", NO_FILE),
        (clip_checkpoint._load_safetensors, clip_checkpoint, "safe_open", NO_FILE),
        (clip_checkpoint._read_state, torch, "load", NO_MEMORY),
        (detectors._read_state, torch, "load", NO_MEMORY),
        (work_folder.load_tensors, work_folder, "safe_open", NO_FILE),
        (images.open_image, Image, "open", NO_FILE),
        (lambda path: parts.FinishedParts(PLAN, {"a": np.zeros(0)}).column("a"), parts, "safe_open", NO_FILE),
        (read_restricted_pickle, PosixPath, "open", NO_FILE),
        (lambda path: read_json(path, remedy="run it again"), PosixPath, "open", NO_FILE),
        (lambda path: read_hicodet_detections(path, None, 1), PosixPath, "open", NO_FILE),
    ],
)
def test_no_reader_calls_its_file_damaged(monkeypatch, tmp_path, read, owner, name, error):
    (tmp_path / "file").write_text("{}")
    (tmp_path / "config.json").write_text("{}")
    monkeypatch.setattr(owner, name, failing(error))
    with pytest.raises(ResourceError) as caught:
        read(tmp_path / "file")
    assert str(caught.value) == str(resource_error(error))


def test_a_dump_that_is_open_already(monkeypatch, tmp_path, vocabulary):
    write_dump(tmp_path / "dump.zarr", **vars(make_dump(vocabulary, [2, 3], [2, 4])))
    dump = open_dump(tmp_path / "dump.zarr")
    assert len(read_dump(tmp_path / "dump.zarr")) == 2
    monkeypatch.setattr(zarr.Array, "__getitem__", failing(NO_THREAD))
    with pytest.raises(ResourceError, match="no more threads or processes can be started"):
        dump.read()
    with pytest.raises(ResourceError, match="no more threads or processes can be started"):
        open_dump(tmp_path / "dump.zarr")
