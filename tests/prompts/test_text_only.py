import sys

import numpy as np
import pytest

from pipeline.core.errors import ParamError
from pipeline.core.types import BankPrompts
from pipeline.prompts.text_only import encode_text_only

HOIS = (
    "a person riding a bicycle",
    "a person holding a bicycle",
    "a person holding a cup",
    "a person riding a mule",
)
ROLES = (("a photo of a person", "a photo of a cup"), ("a photo of a person is holding the object",))
PROMPTS = BankPrompts(HOIS, *ROLES)


def test_sentences_are_alike_by_the_words_that_they_share():
    bank = encode_text_only("words", PROMPTS, 256)
    assert bank.hoi_embeddings.shape == (4, 256) and bank.hoi_embeddings.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(bank.hoi_embeddings, axis=1), 1, atol=1e-6)
    alike = bank.hoi_embeddings @ bank.hoi_embeddings.T
    assert bank.object_embeddings.shape == (2, 256) and bank.verb_embeddings.shape == (1, 256)
    assert alike[0, 1] > alike[0, 2] + 0.2 and alike[1, 2] > alike[0, 2] + 0.2  # "a person a" is in all of them


def test_the_same_words_give_the_same_bytes_whatever_else_is_encoded():
    whole, part = encode_text_only("words", PROMPTS, 32), encode_text_only("words", BankPrompts(HOIS[:3], *ROLES), 32)
    assert encode_text_only("words", PROMPTS, 32).clip_digest == whole.clip_digest != part.clip_digest
    np.testing.assert_array_equal(whole.hoi_embeddings[:3], part.hoi_embeddings)


def test_without_transformers_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)  # importing it fails
    with pytest.raises(ParamError, match=r"weakhoi\[roberta\]"):
        encode_text_only("roberta-large", PROMPTS, 32)


def test_a_roberta_on_disk_is_pooled_and_fitted(tmp_path):
    transformers = pytest.importorskip("transformers", reason="the optional extra weakhoi[roberta] is not installed")
    alphabet = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "<mask>": 4}
    alphabet |= {letter: 5 + index for index, letter in enumerate("Ġabcdefghijklmnopqrstuvwxyz")}
    tokenizer = transformers.RobertaTokenizer(vocab=alphabet, merges=[])
    tokenizer.save_pretrained(tmp_path)
    config = transformers.RobertaConfig(
        vocab_size=len(alphabet), hidden_size=24, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    transformers.RobertaModel(config).save_pretrained(tmp_path)
    same = encode_text_only(str(tmp_path), PROMPTS, 24).hoi_embeddings
    wider = encode_text_only(str(tmp_path), PROMPTS, 40).hoi_embeddings
    np.testing.assert_allclose(wider @ wider.T, same @ same.T, atol=1e-5)  # an orthonormal map keeps angles
    assert same.shape == (4, 24) and wider.shape == (4, 40)
    alone = encode_text_only(str(tmp_path), BankPrompts(HOIS[2:3], *ROLES), 24).hoi_embeddings
    np.testing.assert_allclose(alone[0], same[2], atol=1e-5)  # padding to the longest prompt changes nothing
