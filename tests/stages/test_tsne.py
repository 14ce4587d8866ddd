"""`represent` and `tsne` on a small split with random networks: from checkpoints to pictures and numbers."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from PIL import Image

from pipeline.config.layout import Layout
from pipeline.config.run import Run
from pipeline.core.types import KnowledgeBank
from pipeline.data.split import write_split
from pipeline.store.bank_file import write_bank
from pipeline.store.checkpoint import save_checkpoint
from pipeline.store.files import sha256_of, write_text
from pipeline.store.manifests import differences, read_stage_manifest
from pipeline.store.proposals_file import write_proposals
from pipeline.store.representations_file import read_representations
from pipeline.store.vocabulary_file import write_vocabulary
from pipeline.truth.ground_truth_file import AnnotatedSplit, write_ground_truth
from stages.represent import command as represent
from stages.rerun import command as rerun
from stages.tsne import command as tsne
from tests.conftest import ROOT
from tests.evaluation.worlds import ground_truth
from tests.small_model import small_model
from tests.small_split import random_proposals, write_split_images

pytestmark = pytest.mark.slow

VARIANTS, SEEDS, IMAGES, PROPOSALS = ("ours", "ours_random_bank"), (0, 1), 16, 4


@pytest.fixture
def layout(tmp_path, vocabulary, small_visual, model_params) -> Layout:
    """All that the two stages read; in image i, the first two proposals show HOI class i mod H."""
    document = yaml.safe_load((ROOT / "params.yaml").read_text())
    document |= {"figure_variants": list(VARIANTS), "figure_seeds": list(SEEDS)}
    document["toyworld"]["represent"]["pairs_per_image"] = 5
    layout = Layout(tmp_path, "toyworld")
    write_text(layout.params, yaml.safe_dump(document))
    write_vocabulary(layout.vocabulary, vocabulary)
    manifest = dataclasses.replace(write_split_images(tmp_path, vocabulary, IMAGES), dataset="toyworld", split="test")
    write_split(layout.split("test"), manifest)
    proposals = random_proposals(manifest, vocabulary, [PROPOSALS] * IMAGES)
    write_proposals(layout.proposals("test"), **vars(proposals))
    rows = [
        (image, image % vocabulary.num_hois, *map(tuple, proposals.image(image).boxes[:2])) for image in range(IMAGES)
    ]
    annotated = AnnotatedSplit(ground_truth(rows, IMAGES), np.full(vocabulary.num_hois, 20))
    write_ground_truth(layout.ground_truth("test"), annotated, manifest)
    embeddings = np.random.default_rng(5).normal(size=(vocabulary.num_hois, 24)).astype(np.float32)
    write_bank(layout.knowledge_bank, KnowledgeBank(embeddings, tuple("abcd"), "clip", "0"))
    for number, (variant, seed) in enumerate((variant, seed) for variant in VARIANTS for seed in SEEDS):
        model = small_model(vocabulary, model_params, small_visual, seed=number)
        save_checkpoint(layout.checkpoint(Run(variant, seed=seed)), model.network.state_dict(), model.config)
    return layout


def call(command, layout: Layout, *options: str):
    return CliRunner().invoke(command, ["--dataset", "toyworld", "--root", str(layout.root), *options])


def represent_all(layout: Layout) -> None:
    for variant in VARIANTS:
        for seed in SEEDS:
            result = call(represent, layout, "--variant", variant, "--seed", str(seed))
            assert result.exit_code == 0, result.output


@pytest.fixture
def drawn(layout) -> Layout:
    represent_all(layout)
    result = call(tsne, layout)
    assert result.exit_code == 0, result.output
    return layout


def test_pictures_and_numbers_of_all_runs(drawn):
    for name in ("pairs", "bank"):
        Image.open(drawn.tsne(name)).verify()
    table = json.loads(drawn.separation.read_text())
    assert table["seeds"] == [0, 1]
    assert table["pairs"]["pairs"] == IMAGES and table["pairs"]["classes"] == 4
    for variant in VARIANTS:
        assert len(table["pairs"][variant]["hoi_purity"]["seeds"]) == 2
        assert 0 <= table["pairs"][variant]["hoi_purity"]["mean"] <= 1


def test_manifests_cover_what_was_read_and_made(drawn):
    run = Run("ours", seed=0)
    first = read_stage_manifest(drawn.stage_manifest("represent", run))
    pictures = read_stage_manifest(drawn.stage_manifest("tsne"))
    assert first.arguments == {"dataset": "toyworld", "variant": "ours", "split": "test", "seed": "0"}
    assert list(first.params) == ["infer", "represent"]
    assert first.counts["pairs"] == len(read_representations(drawn.representations(run)))
    assert not any("ground_truth" in name for name in first.inputs)
    assert pictures.arguments == {"dataset": "toyworld", "variant": "ours,ours_random_bank", "seed": "0,1"}
    assert pictures.counts == {"variants": 2, "seeds": 2, "labeled_pairs": IMAGES}
    assert "cache/toyworld/seeds/representations/ours_random_bank-1.h5" in pictures.inputs
    assert differences(first, drawn.root) + differences(pictures, drawn.root) == []


def test_a_second_run_gives_equal_bytes(drawn):
    files = [drawn.tsne("pairs"), drawn.tsne("bank"), drawn.separation, drawn.stage_manifest("tsne")]
    files += [drawn.representations(Run("ours", seed=1))]
    digests = [sha256_of(path) for path in files]
    for path in files:
        path.unlink()
    represent_all(drawn)
    assert call(tsne, drawn, "--variant", "ours,ours_random_bank", "--seed", "0,1").exit_code == 0
    assert [sha256_of(path) for path in files] == digests


def test_rerun_from_the_manifest_alone(drawn, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for path in (drawn.stage_manifest("represent", Run("ours", seed=1)), drawn.stage_manifest("tsne")):
        result = CliRunner().invoke(rerun, [str(path), "--root", str(drawn.root)])
        assert "byte-identical" in result.output, result.output


def test_one_variant_and_one_seed_are_enough(layout):
    assert call(represent, layout, "--variant", "ours", "--seed", "1").exit_code == 0
    result = call(tsne, layout, "--variant", "ours", "--seed", "1")
    assert result.exit_code == 0, result.output
    assert json.loads(layout.separation.read_text())["pairs"]["ours"]["hoi_purity"]["sd"] is None


def change_params(layout: Layout, change) -> None:
    document = yaml.safe_load(layout.params.read_text())
    change(document)
    layout.params.write_text(yaml.safe_dump(document))


def fewer_pairs(layout: Layout) -> None:
    change_params(layout, lambda document: document["toyworld"]["represent"].update(pairs_per_image=1))
    assert call(represent, layout, "--variant", "ours", "--seed", "1").exit_code == 0


def truncated(layout: Layout) -> None:
    path = layout.representations(Run("ours", seed=1))
    path.write_bytes(path.read_bytes()[:100])


def unknown_variant(layout: Layout) -> None:
    change_params(layout, lambda document: document.update(figure_variants=["our"]))


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
def test_what_the_user_can_mend_is_one_line(drawn, damage, options, message):
    before = sha256_of(drawn.separation)
    if damage:
        damage(drawn)
    result = call(tsne, drawn, *options)
    assert result.exit_code == 2
    assert message in result.output and len(result.output.splitlines()) == 1
    assert sha256_of(drawn.separation) == before


def test_without_a_checkpoint_represent_says_which(layout):
    shutil.rmtree(layout.checkpoint(Run("ours", seed=0)))
    result = call(represent, layout, "--variant", "ours", "--seed", "0")
    assert result.exit_code == 2 and "checkpoints/ours-0" in result.output
    assert not layout.representations(Run("ours", seed=0)).exists()


def test_the_root_is_the_only_folder_that_is_written(drawn):
    assert not list(Path(drawn.root).rglob("*.tmp"))
    assert not (drawn.root / "cache/toyworld/work").exists() or not list(drawn.work("represent").parent.iterdir())
