from __future__ import annotations

import yaml

from pipeline.report.backbones import ROWS, backbones_table
from tests.conftest import ROOT
from tests.report.test_study import STUDY, cells

WITH_VIT = {"ours": STUDY["ours"], "ours_vit": STUDY["baseline"], "regformer_vit": STUDY["ours"]}


def test_a_method_stands_there_on_both_backbones_or_not_at_all():
    rows = cells(backbones_table(WITH_VIT))[2:]
    assert [row[:3] for row in rows] == [["ours", "clip_resnet", "2"], ["ours", "clip_vit", "3"]]
    assert rows[0][3] == "32.00 ± 2.83"


def test_a_study_of_one_backbone_has_no_table():
    assert backbones_table(STUDY) == ""


def test_rows_of_a_method_differ_in_the_encoder_alone():
    variants = yaml.safe_load((ROOT / "params.yaml").read_text())["variants"]
    encoder = ("clip", "backbone", "clip_vit")
    for by_backbone in ROWS.values():
        resnet, vit = (variants[name] for name in by_backbone.values())
        assert {key: value for key, value in vit["model"].items() if key not in encoder} == resnet["model"]
        assert (vit["train"], vit["evaluate"]) == (resnet["train"], resnet["evaluate"])
        assert [resnet["model"].get("backbone", "clip_resnet"), vit["model"]["backbone"]] == [*by_backbone]
