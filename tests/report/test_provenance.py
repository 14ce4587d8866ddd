from __future__ import annotations

from types import SimpleNamespace

from pipeline.config.layout import Layout
from pipeline.config.run import Run
from pipeline.report.provenance import provenance, provenance_html
from pipeline.store.files import sha256_of, write_text
from pipeline.store.inputs import StageInputs
from pipeline.store.manifests import write_stage_manifest


def test_what_is_known_is_said_once_where_variants_agree(tmp_path):
    layout, digests = Layout(tmp_path, "toyworld"), {}
    for name in ("baseline", "ours"):
        weights = layout.checkpoint(Run(name)) / "model.safetensors"
        write_text(weights, name)
        digests[name] = sha256_of(weights.parent)[:10]
        write_stage_manifest(
            layout.stage_manifest("train", Run(name)),
            root=tmp_path,
            stage="train",
            arguments={"variant": name},
            inputs={},
            params={},
            outputs=[weights.parent],
            counts={},
            seed=3,
        )
    inputs = StageInputs(layout, {layout.ground_truth("test"): "89" * 32})
    split = SimpleNamespace(inputs=inputs, manifest=SimpleNamespace(dataset="toyworld", split="test"))
    weights = {
        "baseline": {"pairwise": 1.0, "detector": 2.8},
        "ours": {"pairwise": 1.0, "global": 0.5, "detector": 2.8},
    }
    facts = provenance(split, weights)
    assert facts == {
        "data": "toyworld test, annotations 8989898989",
        "seed": "3",
        "weights": f"baseline {digests['baseline']}; ours {digests['ours']}",
        "gamma": "2.8",
        "score": "baseline pairwise · detector^2.8; ours pairwise · global^0.5 · detector^2.8",
    }
    assert layout.stage_manifest("train", Run("ours")) in inputs.digests  # for `rerun`, which links inputs alone
    assert "<dt>seed</dt><dd>3</dd>" in provenance_html(facts) and "&lt;x&gt;" in provenance_html({"code": "<x>"})
    layout.stage_manifest("train", Run("ours")).unlink()  # a colleague's files, without manifests
    assert list(provenance(split, {"ours": {}})) == ["data"]
