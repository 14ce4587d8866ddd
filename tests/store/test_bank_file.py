import h5py
import numpy as np
import pytest

from pipeline.core.errors import ArtifactError
from pipeline.store.bank_file import read_bank, write_bank
from tests.store.records import assert_equal, make_bank, replace_datasets


def test_texts_as_h5py_writes_them_other_types_and_other_classes(tmp_path):
    path, bank = tmp_path / "bank.h5", make_bank()
    write_bank(path, bank)
    replace_datasets(path, prompts=list(bank.prompts))
    with h5py.File(path, "a") as file:
        file.attrs["clip_name"], file.attrs["clip_digest"] = np.bytes_(b"tiny"), b"0f"
    assert_equal(read_bank(path, num_hois=3), bank)
    with pytest.raises(ArtifactError, match="has 3 HOI classes, expected 4"):
        read_bank(path, num_hois=4)
    with h5py.File(path, "a") as file:
        file.attrs["clip_name"] = 7
    with pytest.raises(ArtifactError, match=r"clip_name is int64 .*, expected a list of texts"):
        read_bank(path)
    replace_datasets(path, hoi_embeddings=np.ones((3, 40), bool))
    with pytest.raises(ArtifactError, match=r"hoi_embeddings is bool \[3, 40\]; expected float32 \[H, D\]"):
        read_bank(path)
