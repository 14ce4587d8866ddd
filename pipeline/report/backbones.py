"""One method on two backbones: CLIP's ResNet, and its vision transformer."""

from __future__ import annotations

from pipeline.report.number_text import group_title
from pipeline.report.study import Study, groups_of, over_seeds
from pipeline.report.table import markdown_table

BACKBONES_TEXT = (
    "Backbones: test mAP as above of rows that differ in CLIP's image encoder alone. Both CLIPs are of one size, and "
    "were trained on the same images and captions."
)
# Rows of each method by their backbone.
ROWS = {
    "ours": {"clip_resnet": "ours", "clip_vit": "ours_vit"},
    "ours_plus": {"clip_resnet": "ours_plus", "clip_vit": "ours_plus_vit"},
    "regformer": {"clip_resnet": "regformer", "clip_vit": "regformer_vit"},
}


def backbones_table(study: Study) -> str:
    """Markdown table of the methods that the study has on both backbones; "" where it has none."""
    rows, groups = [], groups_of(study)
    for method, by_backbone in ROWS.items():
        for backbone, name in by_backbone.items() if study.keys() >= {*by_backbone.values()} else ():
            means = [str(over_seeds(study, name, group)) for group in groups]
            rows.append([method, backbone, str(len(study[name])), *means])
    header = ["method", "backbone", "seeds", *map(group_title, groups)]
    return markdown_table(header, rows, num_text_columns=2) if rows else ""
