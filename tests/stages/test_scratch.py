"""What `rerun` builds: links to files in folders of its own, in a new place, whatever a manifest says."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from pipeline.config.layout import Layout
from pipeline.config.params import load_params
from pipeline.config.run import Run
from pipeline.core.errors import ArtifactError
from pipeline.store.files import sha256_of
from pipeline.store.inputs import StageInputs
from pipeline.store.manifests import read_stage_manifest, write_stage_manifest
from stages._scratch import build_scratch


def recorded(layout: Layout, stage: str = "evaluate", inputs=(), outputs=None, params=None, **arguments):
    """A manifest with the digests of the files as they are."""
    path, outputs = layout.root / "hostile.json", outputs or {"results/toyworld/ours.json": "0" * 64}
    write_stage_manifest(
        path, root=layout.root, stage=stage, arguments={"dataset": "toyworld"} | arguments,
        inputs={layout.root / name: sha256_of(layout.root / name) for name in inputs},
        params=params or {}, outputs=[], counts={}, seed=0,
    )  # fmt: skip
    manifest = read_stage_manifest(path)
    manifest.outputs.update(outputs)
    path.unlink()
    return manifest


def links_of(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_symlink()]


def contents(root: Path) -> dict[str, str]:
    return {path.relative_to(root).as_posix(): sha256_of(path) for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("stage", ["evaluate", "report"])
def test_only_files_are_linked_and_each_is_the_recorded_one(layout, tmp_path, stage):
    manifest = read_stage_manifest(layout.stage_manifest("evaluate", Run("ours")))
    if stage == "report":
        manifest = recorded(layout, "report", ["manifests/toyworld/test.json", "manifests/toyworld/vocabulary.json"])
    scratch = tmp_path / "scratch"
    build_scratch(manifest, layout.root, scratch)
    links = links_of(scratch)
    assert links and all(link.resolve().is_file() for link in links)
    assert {name: sha256_of(scratch / name) for name in manifest.inputs} == manifest.inputs
    images = sorted(path.relative_to(scratch) for path in (scratch / "cache/toyworld/images").rglob("*.png"))
    assert len(images) == 3 and all(
        (scratch / path).read_bytes() == (layout.root / path).read_bytes() for path in images
    )


@pytest.mark.parametrize("held", ["params.yaml", "notes.txt", ".git"])
def test_a_folder_that_holds_something_is_refused_and_keeps_it(layout, tmp_path, held):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    (scratch / held).write_text("mine")
    manifest = read_stage_manifest(layout.stage_manifest("evaluate", Run("ours")))
    for folder in (scratch, layout.root):
        before = contents(folder)
        with pytest.raises(ArtifactError, match=r"not empty; .*give a new or an empty one"):
            build_scratch(manifest, layout.root, folder)
        assert contents(folder) == before


@pytest.mark.parametrize(
    "hostile",
    [
        {"inputs": ["results/toyworld"]},
        {"inputs": ["results", "manifests", "cache"]},
        {"stage": "prepare", "params": {"prepare": {"source": "results"}}},
        {"stage": "prepare", "params": {"prepare": {"source": "."}}},
    ],
)
def test_writing_in_the_scratch_reaches_nothing_outside(layout, hostile):
    scratch = layout.root / "scratch"  # inside of what is linked
    before = contents(layout.root)
    build_scratch(recorded(layout, **hostile), layout.root, scratch)
    assert not [link for link in links_of(scratch) if link.resolve().is_dir()]
    own = Layout(scratch, "toyworld")
    for path in (own.metrics(Run("ours")), own.per_class(Run("ours")), own.predictions(Run("ours")) / "further"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_text("written by a stage")
    assert {name: digest for name, digest in contents(layout.root).items() if not name.startswith("scratch/")} == before


def test_a_download_elsewhere_is_named_by_its_path(layout, tmp_path):
    manifest = recorded(layout, "prepare", params={"prepare": {"source": "../download"}})
    build_scratch(manifest, layout.root, tmp_path / "scratch")
    params = yaml.safe_load((tmp_path / "scratch/params.yaml").read_text())
    assert params["toyworld"]["prepare"]["source"] == (tmp_path / "download").as_posix()


def test_a_folder_that_links_to_itself_ends(layout, tmp_path):
    (layout.root / "data").mkdir()
    (layout.root / "data/labels.csv").write_text("")
    (layout.root / "data/again").symlink_to(layout.root / "data")
    manifest = recorded(layout, "prepare", params={"prepare": {"source": "data"}})
    build_scratch(manifest, layout.root, tmp_path / "scratch")
    assert [path.name for path in links_of(tmp_path / "scratch")] == ["labels.csv"]


@pytest.mark.parametrize(
    ("hostile", "told"),
    [
        ({"outputs": {"/etc/hostname": "0" * 64}}, 'output "/etc/hostname" leaves the repository'),
        ({"outputs": {"../x": "0" * 64}}, 'output "../x" leaves the repository'),
        ({"dataset": ".."}, "dataset is '..'; expected a plain name"),
        ({"variant": "a/b"}, "variant is 'a/b'; expected a plain name"),
        ({"params": {"prepare": []}}, "prepare is no section"),
        ({"params": {"variants": 1}}, "variants is no section"),
        ({"stage": "cli"}, 'no stage "cli" writes manifests'),
        ({"stage": "../../evil"}, 'no stage "../../evil" writes manifests'),
        ({"json": "/tmp/out"}, 'argument "json" is not one that evaluate records'),
    ],
)
def test_what_no_stage_records_is_refused(layout, tmp_path, hostile, told):
    with pytest.raises(ArtifactError, match=told):
        build_scratch(recorded(layout, **hostile), layout.root, tmp_path / "scratch")
    assert not (tmp_path / "scratch").exists()


def test_links_in_a_folder_are_taken_there_and_nowhere_else(layout, tmp_path):
    """As DVC leaves them with cache.type symlink, and as rerun makes them."""
    shard = next(path for path in (layout.predictions(Run("ours")) / "boxes/c").rglob("*") if path.is_file())
    shard.rename(tmp_path / "elsewhere")
    shard.symlink_to(tmp_path / "elsewhere")
    manifest = read_stage_manifest(layout.stage_manifest("evaluate", Run("ours")))
    build_scratch(manifest, layout.root, tmp_path / "scratch")
    own = Layout(tmp_path / "scratch", "toyworld")
    assert StageInputs(own).take(own.predictions(Run("ours")), "infer", Run("ours")).is_dir()
    with pytest.raises(ArtifactError, match="a link that leads elsewhere"):
        StageInputs(layout).take(layout.predictions(Run("ours")), "infer", Run("ours"))


@pytest.mark.parametrize(
    "variant", ["ours+model.bilevel.top_k=3", "ours+train.decay_at=[0.5,0.7]+evaluate.weights.detector=2"]
)
@pytest.mark.parametrize("sections", [("infer",), ("evaluate",), ("clip", "model", "train")])
def test_the_params_of_a_row_that_nobody_named_are_the_recorded_ones(layout, tmp_path, variant, sections):
    params = load_params(layout.params, "toyworld", Run.parse(variant))
    names = {name: params.sections[name] for name in sections}
    build_scratch(recorded(layout, params=names, variant=variant), layout.root, tmp_path / "scratch")
    found = load_params(tmp_path / "scratch/params.yaml", "toyworld", Run.parse(variant))
    assert {name: found.sections[name] for name in sections} == names
