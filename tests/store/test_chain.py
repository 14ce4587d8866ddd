"""Inputs whose own inputs have changed since, however far back, and the command that makes them again."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pipeline.config.layout import Layout
from pipeline.config.run import Run
from pipeline.core.errors import ArtifactError
from pipeline.store.files import sha256_of
from pipeline.store.inputs import StageInputs
from pipeline.store.manifests import write_stage_manifest

WEIGHTS, SOURCE = "weights/clip.pt", "data/labels.csv"
OURS = Run("ours")


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


class World:
    """A dataset whose stages write the text that they are given."""

    def __init__(self, root: Path) -> None:
        self.root, self.layout = root, Layout(root, "toyworld")
        write(root / WEIGHTS, "weights")
        write(root / SOURCE, "labels")
        for stage in ("prepare", "detect", "encode_prompts", "train", "infer", "evaluate"):
            self.run(stage, "first")

    def run(self, stage: str, text: str, run: Run = OURS) -> None:
        """Run a stage without a check of its inputs."""
        layout = self.layout
        split, vocabulary = layout.split("test"), layout.vocabulary
        proposals, bank, model, dump = (
            layout.proposals("test"), layout.knowledge_bank, layout.checkpoint(run), layout.predictions(run),
        )  # fmt: skip
        of, arguments, inputs, outputs = {
            "prepare": (None, {}, [self.root / SOURCE], [split, vocabulary]),
            "detect": ("test", {"split": "test"}, [split, vocabulary], [proposals]),
            "encode_prompts": (None, {}, [vocabulary, self.root / WEIGHTS], [bank]),
            "train": (run, {"variant": "ours"}, [split, proposals, bank], [model]),
            "infer": (run, {"variant": "ours"}, [split, proposals, model], [dump]),
            "evaluate": (run, {"variant": "ours"}, [split, dump], [layout.metrics(run)]),
        }[stage]
        for path in outputs:
            write(path / "part" if path in (model, dump) else path, f"{text} of {path.name}")
        write_stage_manifest(
            layout.stage_manifest(stage, of), root=self.root, stage=stage, inputs=inputs, outputs=outputs,
            arguments={"dataset": "toyworld"} | arguments, params={}, counts={}, seed=0,
        )  # fmt: skip

    def taken(self) -> None:
        """Take the end of the chain."""
        StageInputs(self.layout).take(self.layout.metrics(OURS), "evaluate", OURS)


@pytest.fixture
def world(tmp_path) -> World:
    return World(tmp_path)


def refused(world: World) -> str:
    with pytest.raises(ArtifactError) as caught:
        world.taken()
    return str(caught.value)


def test_a_whole_chain_is_taken_though_its_files_are_gone(world):
    world.taken()
    shutil.rmtree(world.root / "cache")
    shutil.rmtree(world.root / "weights")
    world.taken()


REMEDIES = {  # a stage that ran again and made something else: what has to run again, first to last
    "prepare": ["encode-prompts", "detect", "train", "infer", "evaluate"],
    "detect": ["train", "infer", "evaluate"],
    "encode_prompts": ["train", "infer", "evaluate"],
    "train": ["infer", "evaluate"],
    "infer": ["evaluate"],
}


@pytest.mark.parametrize("stage", REMEDIES)
def test_each_remedy_leads_to_the_next_and_the_last_to_a_chain_that_is_taken(world, stage):
    world.run(stage, "second")
    waiting = list(REMEDIES[stage])
    while waiting:
        line = refused(world)
        named = next(name for name in waiting if f'run "weakhoi {name} --dataset toyworld' in line)
        waiting.remove(named)
        world.run(named.replace("-", "_"), f"anew {len(waiting)}")
    world.taken()


def test_the_line_names_both_digests_and_both_files(world):
    before = sha256_of(world.layout.split("test"))
    world.run("prepare", "second")
    world.run("encode_prompts", "first")
    after = sha256_of(world.layout.split("test"))
    assert refused(world) == (
        f"{world.layout.proposals('test')}: made from manifests/toyworld/test.json of sha256 {before[:12]} "
        f"({world.layout.stage_manifest('detect', 'test')}), now it is {after[:12]}; "
        'run "weakhoi detect --dataset toyworld --split test"'
    )


def test_a_stage_that_ran_again_and_made_the_same_changes_nothing(world):
    for stage in ("prepare", "detect", "train"):
        world.run(stage, "first")
        world.taken()


@pytest.mark.parametrize(("name", "remedy"), [(WEIGHTS, "encode-prompts"), (SOURCE, "prepare")])
def test_files_that_no_run_made_are_digested_once_and_noted_by_nobody(world, name, remedy, monkeypatch):
    digested = []
    monkeypatch.setattr("pipeline.store.inputs.sha256_of", lambda path: digested.append(path) or sha256_of(path))
    inputs = StageInputs(world.layout)
    for _ in range(2):
        inputs.take(world.layout.metrics(OURS), "evaluate", OURS)
        inputs.take(world.layout.predictions(OURS), "infer", OURS)
    expected = {world.layout.metrics(OURS), world.layout.predictions(OURS)}
    assert inputs.digests.keys() == expected
    assert sorted(digested) == sorted({*expected, world.root / WEIGHTS, world.root / SOURCE})
    write(world.root / name, "others")
    assert f'run "weakhoi {remedy} --dataset toyworld"' in refused(world)


def test_an_input_without_a_manifest_is_compared_as_it_is(world):
    world.layout.stage_manifest("detect", "test").unlink()
    world.taken()
    write(world.layout.proposals("test"), "from a colleague")
    line = refused(world)
    assert "ours: made from cache/toyworld/proposals/test.h5 of sha256" in line
    assert 'run "weakhoi train --dataset toyworld --variant ours"' in line


def test_a_colleagues_manifest_of_the_same_images_is_taken(world):
    record = world.layout.stage_manifest("detect", "test")
    before = record.read_text()
    world.run("detect", "a colleague's")
    theirs = record.read_text()
    assert theirs != before
    StageInputs(world.layout).take(world.layout.proposals("test"), "detect", "test")


def test_runs_of_a_study_have_chains_of_their_own(world):
    seeded = Run("ours", seed=3)
    world.run("train", "seeded", seeded)
    world.run("infer", "seeded", seeded)
    world.run("train", "second")
    StageInputs(world.layout).take(world.layout.predictions(seeded), "infer", seeded)
    assert "weakhoi infer" in refused(world)
    world.run("detect", "second")
    with pytest.raises(ArtifactError, match=r"seeds/checkpoints/ours-3: made from cache/toyworld/proposals/test.h5"):
        StageInputs(world.layout).take(world.layout.predictions(seeded), "infer", seeded)


def test_a_damaged_manifest_of_another_run_is_passed_over(world):
    write(world.layout.stage_manifest("tsne"), "{")
    world.taken()


def test_what_is_used_alone_may_come_from_anything(world):
    world.run("prepare", "second")
    model = world.layout.checkpoint(OURS)
    assert StageInputs(world.layout).take(model, "train", OURS, alone=True) == model
    write(model / "part", "damaged")
    with pytest.raises(ArtifactError, match="records sha256"):
        StageInputs(world.layout).take(model, "train", OURS, alone=True)
