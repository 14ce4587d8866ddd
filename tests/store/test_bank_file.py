import h5py
import numpy as np
import pytest

from pipeline.core.errors import ArtifactError
from pipeline.core.vocabulary import Vocabulary
from pipeline.store.bank_file import read_bank, write_bank
from tests.store.records import assert_equal, make_bank, replace_datasets

HOIS = ((0, 0), (0, 1), (0, 2))


def test_texts_as_h5py_writes_them_other_types_and_other_classes(tmp_path):
    path, bank = tmp_path / "bank.h5", make_bank()
    write_bank(path, bank)
    replace_datasets(path, prompts=list(bank.prompts))
    with h5py.File(path, "a") as file:
        file.attrs["clip_name"], file.attrs["clip_digest"] = np.bytes_(b"tiny"), b"0f"
    assert_equal(read_bank(path), bank)
    with h5py.File(path, "a") as file:
        file.attrs["clip_name"] = 7
    with pytest.raises(ArtifactError, match=r"clip_name is int64 .*, expected a list of texts"):
        read_bank(path)
    replace_datasets(path, hoi_embeddings=np.ones((3, 40), bool))
    with pytest.raises(ArtifactError, match=r"hoi_embeddings is bool \[3, 40\]; expected float32 \[H, D\]"):
        read_bank(path)


@pytest.mark.parametrize(
    ("vocabulary", "part"),
    [
        (Vocabulary(("person", "cup"), ("hold",), ((0, 1), (0, 0))), "has 3 HOI classes, expected 2"),
        (Vocabulary(("person", "a", "b"), ("hold",), HOIS), "has 2 object categories, expected 3"),
        (Vocabulary(("person", "a"), ("hold", "lift"), (*HOIS[:2], (1, 0))), "has 1 verbs, expected 2"),
    ],
)
def test_banks_of_another_vocabulary_are_refused(tmp_path, vocabulary, part):
    write_bank(tmp_path / "bank.h5", make_bank())
    with pytest.raises(ArtifactError, match=part):
        read_bank(tmp_path / "bank.h5", vocabulary=vocabulary)


def test_a_file_of_hoi_classes_alone_names_the_command_that_makes_it_again(tmp_path):
    path = tmp_path / "bank.h5"
    write_bank(path, make_bank())
    with h5py.File(path, "a") as file:
        for name in ("object_embeddings", "object_prompts", "verb_embeddings", "verb_prompts"):
            del file[name]
    with pytest.raises(ArtifactError, match=r'has no object_embeddings, verb_.* alone\); run "weakhoi encode-prompts"'):
        read_bank(path)
