"""`represent` and `tsne` on a small split with random networks: from checkpoints to pictures and numbers."""

from __future__ import annotations

import dataclasses
import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from pipeline.config.layout import Layout
from pipeline.config.run import Run
from pipeline.data.split import write_split
from pipeline.store.bank_file import write_bank
from pipeline.store.checkpoint import save_checkpoint
from pipeline.store.files import sha256_of
from pipeline.store.manifests import differences, read_stage_manifest
from pipeline.store.proposals_file import write_proposals
from pipeline.store.representations_file import read_representations
from pipeline.store.vocabulary_file import write_vocabulary
from pipeline.truth.ground_truth_file import AnnotatedSplit, write_ground_truth
from tests.conftest import random_visual
from tests.evaluation.worlds import ground_truth
from tests.roots import copied, edit_params, new_root, refused, repeats, succeeds
from tests.small_model import random_bank, small_model
from tests.small_split import random_proposals, write_split_images

pytestmark = pytest.mark.slow

VARIANTS, SEEDS, IMAGES, PROPOSALS = ("ours", "ours_random_bank"), (0, 1), 16, 4
REPRESENT, TSNE = ("represent", "--dataset", "toyworld"), ("tsne", "--dataset", "toyworld")


@pytest.fixture(scope="module")
def drawn_once(tmp_path_factory, vocabulary, seed, model_params) -> Layout:
    """All that the two stages read and make; in image i, the first two proposals show HOI class i mod H."""

    def edit(document):
        document |= {"figure_variants": list(VARIANTS), "figure_seeds": list(SEEDS)}
        document["toyworld"]["represent"]["pairs_per_image"] = 5

    layout = Layout(new_root(tmp_path_factory.mktemp("tsne"), edit), "toyworld")
    write_vocabulary(layout.vocabulary, vocabulary)
    manifest = dataclasses.replace(
        write_split_images(layout.root, vocabulary, IMAGES), dataset="toyworld", split="test"
    )
    write_split(layout.split("test"), manifest)
    proposals = random_proposals(manifest, vocabulary, [PROPOSALS] * IMAGES)
    write_proposals(layout.proposals("test"), **vars(proposals))
    rows = [
        (image, image % vocabulary.num_hois, *map(tuple, proposals.image(image).boxes[:2])) for image in range(IMAGES)
    ]
    annotated = AnnotatedSplit(ground_truth(rows, IMAGES), np.full(vocabulary.num_hois, 20))
    write_ground_truth(layout.ground_truth("test"), annotated, manifest)
    embeddings = np.random.default_rng(5).normal(size=(vocabulary.num_hois, 24)).astype(np.float32)
    bank = random_bank(vocabulary, torch.Generator().manual_seed(5))
    write_bank(layout.knowledge_bank, dataclasses.replace(bank, hoi_embeddings=embeddings))
    visual = random_visual(seed)
    for number, (variant, seed) in enumerate((variant, seed) for variant in VARIANTS for seed in SEEDS):
        model = small_model(vocabulary, model_params, visual, seed=number)
        save_checkpoint(layout.checkpoint(Run(variant, seed=seed)), model.network.state_dict(), model.config)
        succeeds(layout.root, *REPRESENT, "--variant", variant, "--seed", str(seed))
    succeeds(layout.root, *TSNE)
    return layout


@pytest.fixture
def layout(drawn_once, tmp_path) -> Layout:
    """A copy that a test may change."""
    return Layout(copied(drawn_once.root, tmp_path / "root"), "toyworld")


def test_pictures_and_numbers_of_all_runs(layout):
    for name in ("pairs", "bank"):
        Image.open(layout.tsne(name)).verify()
    table = json.loads(layout.separation.read_text())
    assert table["seeds"] == [0, 1]
    assert table["pairs"]["pairs"] == IMAGES and table["pairs"]["classes"] == 4
    for variant in VARIANTS:
        assert len(table["pairs"][variant]["hoi_purity"]["seeds"]) == 2
        assert 0 <= table["pairs"][variant]["hoi_purity"]["mean"] <= 1


def test_manifests_cover_what_was_read_and_made(layout):
    run = Run("ours", seed=0)
    first = read_stage_manifest(layout.stage_manifest("represent", run))
    pictures = read_stage_manifest(layout.stage_manifest("tsne"))
    assert first.arguments == {"dataset": "toyworld", "variant": "ours", "split": "test", "seed": "0"}
    assert list(first.params) == ["infer", "represent"]
    assert first.counts["pairs"] == len(read_representations(layout.representations(run)))
    assert not any("ground_truth" in name for name in first.inputs)
    assert pictures.arguments == {"dataset": "toyworld", "variant": "ours,ours_random_bank", "seed": "0,1"}
    assert pictures.counts == {"variants": 2, "seeds": 2, "labeled_pairs": IMAGES}
    assert "cache/toyworld/seeds/representations/ours_random_bank-1.h5" in pictures.inputs
    assert differences(first, layout.root) + differences(pictures, layout.root) == []


def test_a_second_run_gives_equal_bytes(layout):
    files = [layout.tsne("pairs"), layout.tsne("bank"), layout.separation, layout.stage_manifest("tsne")]
    files += [layout.representations(Run("ours", seed=1))]
    digests = [sha256_of(path) for path in files]
    for path in files:
        path.unlink()
    succeeds(layout.root, *REPRESENT, "--variant", "ours", "--seed", "1")
    succeeds(layout.root, *TSNE, "--variant", "ours,ours_random_bank", "--seed", "0,1")
    assert [sha256_of(path) for path in files] == digests


def test_rerun_from_the_manifest_alone(layout):
    repeats(layout.root, layout.stage_manifest("represent", Run("ours", seed=1)), layout.stage_manifest("tsne"))


def test_one_variant_and_one_seed_are_enough(layout):
    for other in (Run("ours", seed=0), *(Run("ours_random_bank", seed=seed) for seed in SEEDS)):
        layout.representations(other).unlink()
    succeeds(layout.root, *TSNE, "--variant", "ours", "--seed", "1")
    assert json.loads(layout.separation.read_text())["pairs"]["ours"]["hoi_purity"]["sd"] is None


def fewer_pairs(layout: Layout) -> None:
    edit_params(layout.root, lambda document: document["toyworld"]["represent"].update(pairs_per_image=1))
    succeeds(layout.root, *REPRESENT, "--variant", "ours", "--seed", "1")


def truncated(layout: Layout) -> None:
    path = layout.representations(Run("ours", seed=1))
    path.write_bytes(path.read_bytes()[:100])


def unknown_variant(layout: Layout) -> None:
    edit_params(layout.root, lambda document: document.update(figure_variants=["our"]))


@pytest.mark.parametrize(
    ("damage", "options", "message"),
    [
        (fewer_pairs, (), "seeds/representations/ours-1.h5: holds other pairs than seeds/ours-0's"),
        (truncated, (), 'run "weakhoi represent --dataset toyworld --variant ours --split test --seed 1"'),
        (unknown_variant, (), 'figure_variants: no variant "our", did you mean "ours"?'),
        (None, ("--seed", "7"), 'run "weakhoi represent --dataset toyworld --variant ours --seed 7"'),
        (None, ("--seed", "one"), '"one" is not a run seed; expected whole numbers'),
    ],
)  # fmt: skip
def test_what_the_user_can_mend_is_one_line(layout, damage, options, message):
    before = sha256_of(layout.separation)
    if damage:
        damage(layout)
    assert message in refused(layout.root, *TSNE, *options)
    assert sha256_of(layout.separation) == before


def test_without_a_checkpoint_represent_says_which(layout):
    shutil.rmtree(layout.checkpoint(Run("ours", seed=0)))
    layout.representations(Run("ours", seed=0)).unlink()
    assert "checkpoints/ours-0" in refused(layout.root, *REPRESENT, "--variant", "ours", "--seed", "0")
    assert not layout.representations(Run("ours", seed=0)).exists()


def test_the_root_is_the_only_folder_that_is_written(layout):
    assert not list(layout.root.rglob("*.tmp"))
    assert not (layout.root / "cache/toyworld/work").exists() or not list(layout.work("represent").parent.iterdir())
