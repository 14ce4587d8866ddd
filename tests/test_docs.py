"""What README, CONTRIBUTING and docs/ name exists; code and params of docs/extending.md are those that tests run."""

from __future__ import annotations

import dataclasses
import re

import pytest
import yaml

from benchmarks.deviations import DEVIATIONS
from pipeline.backbones.catalog import backbone_class
from pipeline.config.params import load_params
from pipeline.config.run import Run
from pipeline.config.sections import SECTIONS, section_class
from pipeline.evaluation.hicodet import SETTINGS
from pipeline.evaluation.params import EvaluateParams
from pipeline.methods.catalog import method_class
from pipeline.methods.model import ModelChoice
from pipeline.methods.params import ModelParams
from pipeline.training.params import TrainParams
from tests.conftest import ROOT
from tests.own_backbone import OwnBackbone

TEXTS = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"))
}
TEXT = TEXTS["docs/extending.md"]
NAME_NO_FILE = {f"docs/{name}.md" for name in ("api", "cluster", "commands", "index", "predict", "sharing")}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)


def test_the_method_is_the_one_that_the_tests_run():
    assert blocks("python") == [(ROOT / "tests/own_method.py").read_text(encoding="utf-8")]


def test_its_rows_of_params_are_accepted(tmp_path):
    method_row, backbone, split = (yaml.safe_load(block) for block in blocks("yaml"))
    document = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    document["variants"] |= method_row
    document["variants"]["mine"]["model"] |= backbone["model"]
    document["variants"]["mine"]["evaluate"] |= split["evaluate"]
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    params = load_params(tmp_path / "params.yaml", "toyworld", Run("mine"))
    choice = ModelChoice.of(params[ModelParams])
    assert choice.method.params.hidden == 8
    assert choice.backbone_settings == OwnBackbone.Params(width=6)
    assert {*params[TrainParams].loss_weights} <= {*choice.method.loss_names}
    assert {*params[EvaluateParams].weights} - {"detector"} <= {column.factor for column in choice.method.columns}


@pytest.mark.parametrize("text", TEXTS)
def test_the_files_that_a_text_names_exist(text):
    """Modules may be named without `pipeline/`."""
    paths = re.findall(r"`((?:pipeline|stages|tests|docs|benchmarks)/[\w/.]*|[a-z_]+(?:/[a-z_]+)+\.py)", TEXTS[text])
    assert bool(paths) == (text not in NAME_NO_FILE)
    assert [path for path in paths if not (ROOT / path).exists() and not (ROOT / "pipeline" / path).exists()] == []


@pytest.mark.parametrize("text", TEXTS)
def test_the_params_that_a_text_names_exist(text):
    """`model.bilevel.ktn` is a default, which params.yaml need not hold; `toyworld.` may stand before a section."""
    settings = {name: method_class(name).Params for name in ("bilevel", "ppr_fcn")}
    settings |= {name: backbone_class(name).Params for name in ("clip_resnet", "clip_vit", "detector_fpn", "dinov2")}
    unknown = []
    names = "|".join(SECTIONS)
    for section, key, rest in re.findall(rf"`(?:toyworld\.)?({names})\.([a-z_]+)(?:\.([a-z_]+))?[`:=]", TEXTS[text]):
        known = [item.name for item in dataclasses.fields(section_class(section))]
        if section == "model" and key in settings:
            known, key = [item.name for item in dataclasses.fields(settings[key])], rest
        unknown += [f"{section}.{key}"] * (key not in known)
    assert unknown == []


@pytest.mark.parametrize("text", ["README.md", "docs/results.md", "docs/weak_labels.md", "docs/experiments.md"])
def test_every_mean_is_one_of_the_committed_table(text):
    table = (ROOT / "results/toyworld/ablations.md").read_text(encoding="utf-8")
    means = re.findall(r"\d+\.\d+ ± \d+\.\d+", TEXTS[text].replace("\n", " "))
    assert [mean for mean in means if mean not in table] == []


def test_every_setting_and_measured_deviation_is_explained():
    names = [*(f"`{setting}`" for setting in SETTINGS), *DEVIATIONS]
    assert [name for name in names if f"\n| {name} | " not in TEXTS["docs/protocols.md"]] == []


def test_it_can_be_found_and_read_in_minutes():
    assert "(docs/extending.md)" in TEXTS["README.md"]
    assert 300 <= len(TEXT.split()) <= 600


def test_its_links_lead_somewhere():
    links = re.findall(r"\]\(([^)#]+)(?:#([\w-]+))?\)", TEXT)
    assert links
    for path, anchor in links:
        target = (ROOT / "docs" / path).resolve()
        headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
        assert not anchor or anchor in {heading.lower().replace(" ", "-") for heading in headings}
