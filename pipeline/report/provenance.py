"""Where the numbers of a report come from: code, data, seed, trained weights, and how factors make a score."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from pipeline.config.run import Run
from pipeline.evaluation.scored_split import ScoredSplit
from pipeline.store.manifests import read_stage_manifest, relative

_DIGITS = 10  # of a digest


def provenance(split: ScoredSplit, weights: Mapping[str, Mapping[str, float]]) -> dict[str, str]:
    """What is known, by name; a run without a manifest has no seed and no weights.

    Args:
        split: its `inputs` then name the manifests that were read, too.
        weights: of each factor of the score, by variant.
    """
    inputs, manifest, root = split.inputs, split.manifest, split.inputs.layout.root
    records = {name: inputs.layout.stage_manifest("train", Run.parse(name)) for name in weights}
    trained = {name: read_stage_manifest(inputs.note(path)) for name, path in records.items() if path.is_file()}
    checkpoints = {name: relative(inputs.layout.checkpoint(Run.parse(name)), root) for name in trained}
    annotations = inputs.digests[inputs.layout.ground_truth(manifest.split)]
    gammas = {name: factors["detector"] for name, factors in weights.items() if "detector" in factors}
    facts = {
        "data": f"{manifest.dataset} {manifest.split}, annotations {annotations[:_DIGITS]}",
        "seed": _by_name({name: str(record.seed) for name, record in trained.items()}),
        "weights": _by_name({name: trained[name].outputs[path][:_DIGITS] for name, path in checkpoints.items()}),
        "gamma": _by_name({name: f"{gamma:g}" for name, gamma in gammas.items()}),
        "score": _by_name({name: " · ".join(map(_power, factors.items())) for name, factors in weights.items()}),
    }
    return {name: text for name, text in facts.items() if text}


def _power(factor: tuple[str, float]) -> str:
    name, weight = factor
    return name if weight == 1 else f"{name}^{weight:g}"


def _by_name(values: Mapping[str, str]) -> str:
    """One value where all are the same, else each with its name."""
    if len(set(values.values())) == 1:
        return next(iter(values.values()))
    return "; ".join(f"{name} {value}" for name, value in values.items())


def provenance_html(facts: Mapping[str, str]) -> str:
    """As a list of terms; the script adds the day on which the page's file was written."""
    items = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(text)}</dd></div>" for name, text in facts.items())
    return f'<dl class="facts">{items}<div hidden><dt>page written</dt><dd id="written"></dd></div></dl>'
