import dataclasses
import json
import shlex

import pytest

from pipeline.core.errors import ArtifactError
from pipeline.evaluation.params import EvaluateParams
from pipeline.store.files import sha256_of
from pipeline.store.manifests import command_of, differences, read_stage_manifest, write_stage_manifest


@pytest.fixture
def root(tmp_path, toyworld_params):
    (tmp_path / "in.txt").write_text("in")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "part").write_text("out")
    write_stage_manifest(
        tmp_path / "runs" / "stage.json",
        root=tmp_path,
        stage="stage",
        arguments={"dataset": "toyworld"},
        inputs=[tmp_path / "in.txt"],
        params={"evaluate": toyworld_params[EvaluateParams], "names": ["a", "b"]},
        outputs=[tmp_path / "out"],
        counts={"images": 3},
        seed=0,
    )
    return tmp_path


def test_what_was_written_is_read_with_relative_paths(root, toyworld_params):
    manifest = read_stage_manifest(root / "runs" / "stage.json")
    assert manifest.inputs == {"in.txt": sha256_of(root / "in.txt")}
    assert manifest.outputs == {"out": sha256_of(root / "out")}
    assert manifest.params == {"evaluate": dataclasses.asdict(toyworld_params[EvaluateParams]), "names": ["a", "b"]}
    assert {"python", "torch", "zarr"} <= set(manifest.versions)
    assert differences(manifest, root) == []


def test_writing_twice_gives_the_same_bytes(root):
    path = root / "runs" / "stage.json"
    before = path.read_bytes()
    manifest = read_stage_manifest(path)
    write_stage_manifest(
        path, root=root, stage="stage", arguments=manifest.arguments, inputs=[root / "in.txt"], params=manifest.params,
        outputs=[root / "out"], counts=manifest.counts, seed=0,
    )  # fmt: skip
    assert path.read_bytes() == before


def test_differences_name_each_file(root):
    manifest = read_stage_manifest(root / "runs" / "stage.json")
    (root / "out" / "part").write_text("changed")
    (root / "in.txt").unlink()
    lines = differences(manifest, root)
    assert lines[0] == "in.txt: input of stage is missing; put it back"
    assert lines[1].startswith("out: output of stage has sha256 ")
    assert lines[1].endswith('; run "weakhoi stage --dataset toyworld"')
    assert len(lines) == 2


def test_an_input_is_mended_by_who_made_it_or_else_by_who_took_it(root):
    taker = read_stage_manifest(root / "runs" / "stage.json")
    (root / "in.txt").write_text("changed")
    for digest, command in ((taker.inputs["in.txt"], "weakhoi make"), ("0" * 64, "weakhoi stage --dataset toyworld")):
        maker = dataclasses.replace(taker, stage="make", arguments={}, outputs={"in.txt": digest})
        (line,) = differences(taker, root, {"in.txt": maker}.get)
        assert line.startswith("in.txt: input of stage has sha256 ") and line.endswith(f'; run "{command}"')


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"params": {"evaluate": {"gamma": 1.0}}}, "params digest is"),
        ({"schema_version": 99}, "schema 99, expected"),
        ({"extra": 1}, "not a stage manifest; expected the keys"),
        ({"outputs": {"out": 5}}, "the digest of out is 5, expected 64 hexadecimal digits"),
        ({"outputs": {"out": "ab"}}, "the digest of out is 'ab', expected"),
        ({"outputs": {"out": None}}, "the digest of out is None, expected"),
        ({"inputs": {"in.txt": ["ab"]}}, "the digest of in.txt is"),
        ({"inputs": []}, "inputs is of type list, expected names with values"),
        ({"arguments": {"dataset": 1}}, "arguments: dataset is of type int, expected a text"),
        ({"versions": {"torch": None}}, "versions: torch is of type NoneType, expected a text"),
        ({"stage": None}, "stage is of type NoneType, expected str"),
        ({"params_digest": 1}, "params_digest is of type int, expected str"),
        ({"seed": "0"}, "seed is of type str, expected int"),
    ],
)
def test_edited_manifests_are_refused(root, change, part):
    path = root / "runs" / "stage.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(ArtifactError, match=part):
        read_stage_manifest(path)


def test_the_command_is_one_that_a_shell_takes(root):
    manifest = read_stage_manifest(root / "runs" / "stage.json")
    named = {"dataset": "toyworld", "variant": "ours+train.decay_at=[0.5, 0.7]", "seed": "3"}
    again = dataclasses.replace(manifest, stage="encode_prompts", arguments=named)
    assert shlex.split(command_of(again)) == [
        "weakhoi", "encode-prompts", "--dataset", "toyworld", "--variant", named["variant"], "--seed", "3",
    ]  # fmt: skip


def test_truncated_or_missing_manifests_are_refused(root):
    path = root / "runs" / "stage.json"
    whole = path.read_text()
    for text, message in ((whole[:-3], "not JSON"), ("", "not JSON"), ("[]", "not a stage manifest")):
        path.write_text(text)
        with pytest.raises(ArtifactError, match=message):
            read_stage_manifest(path)
    with pytest.raises(ArtifactError, match="does not exist"):
        read_stage_manifest(root / "runs" / "other.json")
