import hashlib
import json

import pytest

from pipeline.config.layout import Layout
from pipeline.config.run import Run
from pipeline.core.errors import ArtifactError
from pipeline.store.files import sha256_of
from pipeline.store.inputs import StageInputs
from pipeline.store.manifests import write_stage_manifest

OURS = Run("ours")


@pytest.fixture
def layout(tmp_path) -> Layout:
    layout = Layout(tmp_path, "toyworld")
    layout.proposals("test").parent.mkdir(parents=True)
    layout.proposals("test").write_text("boxes")
    layout.checkpoint(OURS).mkdir(parents=True)
    (layout.checkpoint(OURS) / "config.json").write_text("{}")
    for stage, of, output in (
        ("detect", "test", layout.proposals("test")),
        ("train", OURS, layout.checkpoint(OURS)),
    ):
        arguments = {"dataset": "toyworld"} | ({"split": "test"} if stage == "detect" else {"variant": "ours"})
        write_stage_manifest(
            layout.stage_manifest(stage, of), root=tmp_path, stage=stage, arguments=arguments, inputs=[],
            params={"a": 1}, outputs=[output], counts={}, seed=0,
        )  # fmt: skip
    return layout


def test_what_is_as_recorded_is_taken_and_noted(layout):
    inputs = StageInputs(layout)
    path = layout.proposals("test")
    assert inputs.take(path, "detect", "test") == path
    assert inputs.take(layout.checkpoint(OURS), "train", OURS) == layout.checkpoint(OURS)
    assert inputs.digests == {item: sha256_of(item) for item in (path, layout.checkpoint(OURS))}


def test_what_differs_is_named_with_its_manifest_and_the_command(layout):
    layout.proposals("test").write_text("boxer")
    with pytest.raises(ArtifactError) as caught:
        StageInputs(layout).take(layout.proposals("test"), "detect", "test")
    assert "proposals/test.h5: " in str(caught.value)
    assert f"detect-test.json records sha256 {hashlib.sha256(b'boxes').hexdigest()[:12]}, found" in str(caught.value)
    assert str(caught.value).endswith('run "weakhoi detect --dataset toyworld --split test"')
    (layout.checkpoint(OURS) / "further").write_text("")
    with pytest.raises(ArtifactError, match=r"checkpoints/ours: .*train-ours.json records"):
        StageInputs(layout).take(layout.checkpoint(OURS), "train", OURS)


def test_a_manifest_that_names_other_outputs_or_is_damaged_is_refused(layout):
    path = layout.stage_manifest("detect", "test")
    whole = path.read_text()
    for text, message in (
        (whole.replace("proposals/test.h5", "proposals/tast.h5"), r"test.h5: .*json does not name it.*weakhoi detect"),
        (json.dumps(json.loads(whole) | {"outputs": []}), r'json: not a stage manifest; .*run "dvc repro detect"'),
        (whole[:-10], r'detect-test.json: not JSON .*run "dvc repro detect"'),
    ):
        path.write_text(text)
        with pytest.raises(ArtifactError, match=message):
            StageInputs(layout).take(layout.proposals("test"), "detect", "test")


def test_what_no_manifest_describes_is_left_to_its_reader(layout):
    inputs = StageInputs(layout)
    assert inputs.take(layout.proposals("train"), "detect", "train") == layout.proposals("train")  # nothing there
    assert inputs.digests == {}
    layout.stage_manifest("detect", "test").unlink()
    layout.proposals("test").write_text("from a colleague")
    assert inputs.take(layout.proposals("test"), "detect", "test") in inputs.digests


def test_a_link_into_a_dvc_cache_passes_without_a_manifest_and_no_other(layout, tmp_path):
    """A file there is named by its md5: `dvc checkout` with symlinks makes such links, a stranger's lead elsewhere."""
    layout.stage_manifest("train", OURS).unlink()
    (layout.checkpoint(OURS) / "config.json").unlink()
    objects = tmp_path / "shared/files/md5"
    cached = objects / "99" / "914b932bd37a50b983c5e7c90ae93b"  # of "{}"
    cached.parent.mkdir(parents=True)
    cached.write_text("{}")
    link = layout.checkpoint(OURS) / "config.json"
    link.symlink_to(cached)
    StageInputs(layout).take(layout.checkpoint(OURS), "train", OURS)
    for name, text in (("files/md5/99/" + "0" * 30, "{}"), ("secret", "{}")):
        other = tmp_path / "shared" / name
        other.write_text(text)
        link.unlink()
        link.symlink_to(other)
        with pytest.raises(ArtifactError, match=r"config.json: a link that leads elsewhere"):
            StageInputs(layout).take(layout.checkpoint(OURS), "train", OURS)
