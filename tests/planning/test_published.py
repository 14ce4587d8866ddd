"""Sizes that are known by name, against figures from elsewhere."""

import pytest
import torch

from pipeline.planning.published import CLIPS, DINOV2S, published_dataset
from pipeline.store.clip_architecture import build_clip
from pipeline.store.published import CLIP_FILES
from pipeline.truth.vcoco_pairs import read_vcoco_pairs
from tests.truth.real_ground_truth import real_ground_truth

# Millions of parameters: OpenCLIP's docs/model_profile.csv.
PARAMETERS = {
    "RN50": 102.01, "RN101": 119.69, "RN50x4": 178.3, "RN50x16": 290.98, "RN50x64": 623.26,
    "ViT-B/32": 151.28, "ViT-B/16": 149.62, "ViT-L/14": 427.62, "ViT-L/14@336px": 427.94,
}  # fmt: skip


@pytest.mark.parametrize("name", CLIPS)
def test_a_published_clip_has_as_many_parameters(name):
    assert {*CLIPS} == {*CLIP_FILES}
    with torch.device("meta"):
        model = build_clip(CLIPS[name])
    assert sum(one.numel() for one in model.parameters()) / 1e6 == pytest.approx(PARAMETERS[name], abs=0.006)


@pytest.mark.parametrize(("name", "millions"), [("small", 22.1), ("base", 86.6), ("large", 304.4)])
def test_a_published_dinov2_has_as_many_parameters(name, millions):
    """Of the encoder without registers: DINOv2's README says 21, 86 and 300 M."""
    pytest.importorskip("transformers")
    from pipeline.store.dinov2_checkpoint import build_dinov2

    with torch.device("meta"):
        model = build_dinov2(DINOV2S[f"facebook/dinov2-{name}"], name)
    assert sum(one.numel() for one in model.parameters()) / 1e6 == pytest.approx(millions, abs=0.06)


def test_hicodet_has_its_official_classes():
    known = published_dataset("hicodet", official_val=False)
    assert (known.vocabulary.num_hois, known.vocabulary.num_verbs, known.vocabulary.num_objects) == (600, 117, 80)
    assert known.images == {"train": 38_118, "test": 9_658}
    assert published_dataset("folder", official_val=False) is None


@pytest.mark.parametrize(("official_val", "split"), [(True, "train"), (False, "trainval")])
def test_vcoco_has_the_sizes_of_its_files(official_val, split):
    known = published_dataset("vcoco", official_val=official_val)
    for name, file in (("train", split), ("test", "test")):
        found = read_vcoco_pairs(real_ground_truth("vcoco", f"instances_vcoco_{file}.json"))
        assert known.images[name] == len(found.filenames)
        sizes = [(one.num_hois, one.num_verbs, one.num_objects) for one in (known.vocabulary, found.vocabulary)]
        assert sizes[0] == sizes[1]
