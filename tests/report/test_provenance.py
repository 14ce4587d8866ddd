from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

from pipeline.config.layout import Layout
from pipeline.report.provenance import provenance, provenance_html


def test_what_is_known_is_said_once_where_variants_agree():
    layout = Layout(Path("/data"), "toyworld")
    paths = "cache/toyworld/checkpoints/{0}", "results/toyworld/training/{0}.csv"
    trained = [
        SimpleNamespace(
            stage="train",
            seed=3,
            arguments={"variant": name},
            outputs={path.format(name): digest * 8 for path, digest in zip(paths, (weights, "00000000"), strict=True)},
        )
        for name, weights in (("baseline", "0a1b2c3d"), ("ours", "4e5f6a7b"))
    ]
    runs = [SimpleNamespace(manifest=manifest) for manifest in (SimpleNamespace(stage="infer"), *trained)]
    inputs = SimpleNamespace(
        layout=layout, chain=SimpleNamespace(runs=runs), digests={layout.ground_truth("test"): "89" * 32}
    )
    split = SimpleNamespace(inputs=inputs, manifest=SimpleNamespace(dataset="toyworld", split="test"))
    weights = {
        "baseline": {"pairwise": 1.0, "detector": 2.8},
        "ours": {"pairwise": 1.0, "global": 0.5, "detector": 2.8},
    }
    facts = provenance(split, weights)
    assert facts == {
        "data": "toyworld test, annotations 8989898989",
        "seed": "3",
        "weights": "baseline 0a1b2c3d0a; ours 4e5f6a7b4e",
        "gamma": "2.8",
        "score": "baseline pairwise · detector^2.8; ours pairwise · global^0.5 · detector^2.8",
    }
    assert "<dt>seed</dt><dd>3</dd>" in provenance_html(facts) and "&lt;x&gt;" in provenance_html({"code": "<x>"})
    inputs.chain.runs = []  # a colleague's files, without manifests
    assert list(provenance(split, {})) == ["data"]
