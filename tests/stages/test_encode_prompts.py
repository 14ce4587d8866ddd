"""`encode-prompts` on a dataset of one's own: the sentences that it shows, and verbs that it refuses."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from pipeline.store.bank_file import read_bank
from tests.roots import new_root, refused, succeeds
from tests.stages.own_dataset import SOURCE, on_toy_weights

CALL = ("encode-prompts", "--dataset", "custom")


@pytest.fixture
def prepared(tmp_path):
    """A function that prepares one image with interactions, and returns the root."""

    def prepare(*pairs: str, verb_forms: dict[str, str] | None = None):
        (tmp_path / SOURCE).mkdir(parents=True)
        Image.new("RGB", (16, 16)).save(tmp_path / SOURCE / "a.png")
        (tmp_path / SOURCE / "labels.csv").write_text("\n".join(["image,verb,object", *(f"a.png,{p}" for p in pairs)]))
        forms = {"verb_forms": verb_forms} if verb_forms else {}
        new_root(tmp_path, on_toy_weights(lambda section: section["encode_prompts"].update(forms)))
        succeeds(tmp_path, "prepare", "--dataset", "custom")
        return tmp_path

    return prepare


def test_it_shows_each_sentence(prepared):
    root = prepared("sit on,horse", "riding,horse", "no interaction,cup")
    done = succeeds(root, *CALL)
    assert done.stdout.splitlines() == [
        "a person not interacting with a cup",
        "a person riding a horse",
        "a person sitting on a horse",
    ]
    assert read_bank(root / "cache/custom/knowledge_bank.h5").prompts == tuple(done.stdout.splitlines())


def test_a_form_of_ones_own_is_shown_encoded_and_recorded(prepared):
    root = prepared("look,horse", "next to,cup", verb_forms={"look": "looking at", "next to": "standing on"})
    done = succeeds(root, *CALL)
    assert "a person looking at a horse" in done.stdout and "a person standing on a cup" in done.stdout
    manifest = json.loads((root / "manifests/custom/runs/encode_prompts.json").read_text())
    assert manifest["params"]["encode_prompts"]["verb_forms"] == {"look": "looking at", "next to": "standing on"}


def test_what_is_no_verb_is_one_line_and_writes_nothing(prepared):
    root = prepared("next to,horse", "rides,horse", "feed,horse")
    line = refused(root, *CALL)
    assert line.startswith('Error: no -ing form for the verb "next to": "next" is no verb; so are rides; ')
    assert "encode_prompts.verb_forms" in line
    assert not (root / "cache/custom/knowledge_bank.h5").exists()
