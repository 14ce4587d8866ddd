"""Types of errors on the page: a bar and counts for each variant, what changed, and which verbs are confused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

import numpy as np

from pipeline.core.types import IntArray
from pipeline.core.vocabulary import Vocabulary
from pipeline.evaluation.error_types import ERROR_TYPES, MISSED_TYPES, RIGHT, WRONG_VERB
from pipeline.evaluation.matching import OVERLAP_THRESHOLD, image_overlaps
from pipeline.report.colors import ERROR_NAMES
from pipeline.report.number_text import percent
from pipeline.report.results import RunMetrics
from pipeline.report.selection import Findings
from pipeline.report.table import html_table
from pipeline.truth.ground_truth import GroundTruth

MOST_VERBS = 20  # of a table of confusions


def error_bars(runs: Mapping[str, RunMetrics], first: str) -> str:
    """Two bars for each variant, of its detections at break-even and of the annotated pairs, and a table of the counts.

    Args:
        runs: by variant; the mAP gained by a fix is that of `first`.
    """
    right = ERROR_TYPES[RIGHT]
    bars = ""
    for name, run in runs.items():
        bars += f"<span>{escape(name)}: detections, annotated pairs</span>"
        bars += _bar(run.at_break_even, ERROR_TYPES) + _bar(run.at_break_even, (right, *MISSED_TYPES))
    rows = []
    for kind in (*ERROR_TYPES, *MISSED_TYPES):
        gain = runs[first].gain_if_fixed.get(kind)
        counts = [f"{run.at_break_even[kind]:,}" for run in runs.values()]
        rows.append((kind.replace("_", " "), "", [*counts, percent(gain)]))
    header = ["at break-even", *map(escape, runs), f"{escape(first)}: mAP if fixed"]
    return f'<div class="bars">{bars}</div>{html_table(header, rows, ERROR_NAMES.values())}'


def _bar(counts: Mapping[str, int], kinds: tuple[str, ...]) -> str:
    parts = ""
    for kind in kinds:
        style = f"flex-grow:{counts[kind]};background:var(--{ERROR_NAMES[kind]})"
        parts += f'<i style="{style}" title="{kind.replace("_", " ")}: {counts[kind]:,}"></i>'
    return f'<div class="bar">{parts}</div>'


def what_changed(runs: Mapping[str, RunMetrics], first: str, second: str | None) -> str:
    """A sentence on the errors of `first`, beside those of `second` if there is one; frequent types come first."""
    now = runs[first].at_break_even
    before = runs[second].at_break_even if second else {}

    def part(kind: str) -> str:
        name, old = kind.replace("_", " "), before.get(kind)
        if old is None:
            return f"{name} {now[kind]:,}"
        change = f" ({100 * (now[kind] / old - 1):+.0f} %)" if old else ""
        return f"{name} {old:,} to {now[kind]:,}{change}"

    wrong = [kind for kind in ERROR_TYPES[RIGHT + 1 :] if now[kind] or before.get(kind)]
    wrong.sort(key=lambda kind: -max(now[kind], before.get(kind, 0)))
    total = sum(now[kind] for kind in ERROR_TYPES)
    who = f"From {second} to {first}" if second else f"In {first}"
    return f"{who}, of {total:,} detections at break-even: {', '.join(map(part, (ERROR_TYPES[RIGHT], *wrong)))}."


@dataclass(frozen=True)
class Confusions:
    """Detections of annotated pairs by annotated and predicted verb, int64 [A, A]; right ones are on the diagonal."""

    counts: IntArray
    verbs: tuple[str, ...]


def count_confusions(best: Findings, truth: GroundTruth, vocabulary: Vocabulary) -> Confusions:
    """Count the right detections, and those of a wrong verb once for each verb of the annotated pair that they fit.

    Args:
        best: detections at break-even.
    """
    verbs, objects = np.array(vocabulary.hoi_classes).T
    counts = np.zeros((vocabulary.num_verbs, vocabulary.num_verbs), np.int64)
    right = verbs[best.detections.hoi_id[best.hits]]
    np.add.at(counts, (right, right), 1)
    wrong = best.detections.take(np.flatnonzero(best.errors == WRONG_VERB))
    for row, annotated, human_iou, object_iou in image_overlaps(wrong, truth):
        fits = np.minimum(human_iou, object_iou) >= OVERLAP_THRESHOLD
        fits &= objects[wrong.hoi_id[row]] == objects[truth.hoi_id[annotated]]
        np.add.at(counts, (verbs[truth.hoi_id[annotated[fits]]], verbs[wrong.hoi_id[row[fits]]]), 1)
    return Confusions(counts, vocabulary.verbs)


def confusion_html(confusions: Confusions) -> str:
    """Matrix as HTML, a row for each annotated verb; of many verbs, those that are confused most."""
    counts = confusions.counts
    wrong = counts - np.diag(np.diag(counts))
    shown = np.sort(np.argsort(-(wrong.sum(0) + wrong.sum(1)), kind="stable")[:MOST_VERBS])
    names = [escape(confusions.verbs[verb].replace("_", " ")) for verb in shown]
    rows = ""
    for name, verb in zip(names, shown, strict=True):
        cells, total = "", max(1, int(counts[verb].sum()))
        for other in shown:
            count = int(counts[verb, other])
            kind = ERROR_TYPES[RIGHT if other == verb else WRONG_VERB]
            color = f"var(--{ERROR_NAMES[kind]}) {85 * count / total:.0f}%"
            cells += f'<td style="background:color-mix(in srgb,{color},transparent)">{count or ""}</td>'
        rows += f'<tr><th scope="row">{name}</th>{cells}</tr>'
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    head = f"<thead><tr><td></td>{head}</tr></thead>"
    return f'<div class="wide"><table class="confusion">{head}<tbody>{rows}</tbody></table></div>'
