"""Zero-shot splits: rows of a study without the labels of some classes in training, "ROW+train.unseen=SPLIT+..."."""

from __future__ import annotations

from pipeline.config.run import Run
from pipeline.core.class_groups import FULL
from pipeline.report.number_text import group_title
from pipeline.report.study import Study, over_seeds
from pipeline.report.table import markdown_table

UNSEEN_TEXT = (
    "Zero-shot splits: test mAP as above of rows trained without the labels of a split's unseen classes, over these "
    "classes, the seen ones, and all."
)
_OVERRIDE = "train.unseen="
_GROUPS = ("unseen", "seen", FULL)


def unseen_table(study: Study) -> str:
    """Markdown table of such rows by split and row, mean ± standard deviation over seeds; "" where there is none."""
    rows = []
    for name, runs in study.items():
        run = Run.parse(name)
        for split in (text.removeprefix(_OVERRIDE) for text in run.overrides if text.startswith(_OVERRIDE)):
            means = [str(over_seeds(study, name, group)) for group in _GROUPS]
            classes = next(iter(runs.values())).groups.get("unseen", 0)
            rows.append([split, run.variant, str(classes), str(len(runs)), *means])
    header = ["split", "row", "unseen classes", "seeds", *map(group_title, _GROUPS)]
    return markdown_table(header, sorted(rows), num_text_columns=2) if rows else ""


def whole_rows(study: Study) -> Study:
    """The study without rows that have overrides, which no table of rows is about."""
    return {name: runs for name, runs in study.items() if not Run.parse(name).overrides}
