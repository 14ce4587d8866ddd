import copy
import re

import pytest
import yaml

from pipeline.core.errors import ParamError
from pipeline.core.params import (
    IN_PROCESS,
    RERUN_MARK,
    digest_of,
    load_execution,
    load_figure_seeds,
    load_figure_variants,
    load_params,
    load_run_variants,
    load_variants,
)
from tests.conftest import ROOT

DOCUMENT = yaml.safe_load((ROOT / "params.yaml").read_text())


@pytest.fixture
def document() -> dict:
    return copy.deepcopy(DOCUMENT)


@pytest.fixture
def load(tmp_path, document):
    """Write the (changed) document and load one dataset of it."""

    def write_and_load(variant=None, dataset="toyworld"):
        path = tmp_path / "params.yaml"
        path.write_text(yaml.safe_dump(document))
        return load_params(path, dataset, variant)

    return write_and_load


def faults_of(load, variant=None, dataset="toyworld") -> str:
    with pytest.raises(ParamError) as caught:
        load(variant, dataset)
    message = str(caught.value)
    assert message.startswith("params.yaml: ")
    assert "\n" not in message
    return message


def test_the_repositorys_own_file_loads_for_every_dataset_and_variant():
    path = ROOT / "params.yaml"
    datasets = [name for name, section in DOCUMENT.items() if isinstance(section, dict) and "prepare" in section]
    assert set(DOCUMENT["datasets"]) <= set(datasets)
    for read in (load_run_variants, load_figure_variants):
        assert set(read(path)) <= set(load_variants(path))
    assert load_figure_seeds(path) == tuple(DOCUMENT["figure_seeds"])
    for dataset in datasets:
        for variant in (None, *load_variants(path)):
            load_params(path, dataset, variant)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("run_variants", ["our"], 'run_variants: no variant "our", did you mean "ours"'),
        ("figure_variants", ["ours", "ours"], 'figure_variants: "ours" stands twice'),
        ("figure_variants", "ours", "figure_variants is 'ours'; expected a list of names"),
        ("figure_seeds", [0, "1"], "expected a list of whole numbers"),
        ("figure_seeds", [True], "expected a list of whole numbers"),
        ("figure_seeds", [], "expected a list of whole numbers"),
        ("figure_seeds", [2, 2], "expected each seed once"),
    ],
)
def test_lists_of_runs_are_checked(tmp_path, key, value, message):
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump({**DOCUMENT, key: value}))
    readers = {
        "run_variants": load_run_variants, "figure_variants": load_figure_variants, "figure_seeds": load_figure_seeds,
    }  # fmt: skip
    with pytest.raises(ParamError, match=re.escape(message)):
        readers[key](path)


def test_sections_become_what_the_file_says(load, document):
    params = load()
    assert params.train.learning_rate == document["toyworld"]["train"]["learning_rate"]
    assert params.train.decay_at == tuple(document["toyworld"]["train"]["decay_at"])
    assert params.prepare.num_images == document["toyworld"]["prepare"]["num_images"]


def test_an_integer_is_a_number(load, document):
    document["toyworld"]["evaluate"]["gamma"] = 2
    gamma = load().evaluate.gamma
    assert gamma == 2.0
    assert isinstance(gamma, float)


def test_unknown_key_gets_a_suggestion(load, document):
    document["toyworld"]["evaluate"]["gama"] = 2.8
    assert 'unknown key "toyworld.evaluate.gama", did you mean "gamma"?' in faults_of(load)


def test_missing_key_is_named(load, document):
    del document["toyworld"]["train"]["epochs"]
    assert 'missing key "toyworld.train.epochs"' in faults_of(load)


@pytest.mark.parametrize(
    ("section", "key", "value", "part"),
    [
        ("train", "epochs", "eight", "toyworld.train.epochs is 'eight' (str); expected int"),
        ("train", "epochs", 1.5, "toyworld.train.epochs is 1.5 (float); expected int"),
        ("train", "epochs", True, "toyworld.train.epochs is True (bool); expected int"),
        ("train", "freeze_batch_norm", 1, "toyworld.train.freeze_batch_norm is 1 (int); expected bool"),
        ("train", "epochs", -1, "toyworld.train.epochs is -1; expected 0 to inf"),
        ("train", "learning_rate", float("nan"), "toyworld.train.learning_rate is nan; expected"),
        ("train", "decay_at", [0.5, 1.5], "toyworld.train.decay_at is 1.5; expected 0 to 1"),
        ("train", "decay_at", 0.5, "toyworld.train.decay_at is 0.5 (float); expected tuple"),
        ("train", "batch_size", None, "toyworld.train.batch_size is None (NoneType); expected int"),
        ("model", "ktn", "softmx", "toyworld.model.ktn is 'softmx', did you mean \"softmax\"?"),
        ("detect", "score_threshold", 1.01, "toyworld.detect.score_threshold is 1.01; expected 0 to 1"),
        ("prepare", "num_images", {"train": "many"}, "toyworld.prepare.num_images.train is 'many' (str); expected int"),
    ],
)
def test_wrong_types_and_ranges(load, document, section, key, value, part):
    document["toyworld"][section][key] = value
    assert part in faults_of(load)


def test_number_that_yaml_reads_as_text_gets_the_hint(tmp_path):
    text = yaml.safe_dump(DOCUMENT).replace(f"\n    learning_rate: {DOCUMENT['toyworld']['train']['learning_rate']}\n",
                                            "\n    learning_rate: 1e-3\n")  # fmt: skip
    assert "learning_rate: 1e-3" in text
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(ParamError, match=r"learning_rate is '1e-3' \(str\); expected float; YAML reads 1e-4 as text"):
        load_params(tmp_path / "params.yaml", "toyworld")


def test_all_faults_are_reported_at_once(load, document):
    document["toyworld"]["train"]["epoch"] = 3
    document["toyworld"]["train"]["batch_size"] = -1
    document["toyworld"]["detect"] = None
    document["variants"]["exp1"]["model"] = {"bnak": "random"}
    message = faults_of(load, "exp1")
    for part in ("train.epoch", "train.batch_size", "toyworld.detect: expected a section", "variants.exp1.model.bnak"):
        assert part in message


def test_a_variant_overrides_only_its_keys(load, document):
    document["variants"]["exp1"] = {"desc": "", "model": {"ktn": "union"}, "train": {}, "evaluate": {"gamma": 1.0}}
    plain, changed = load(), load("exp1")
    assert changed.model.ktn == "union"
    assert changed.evaluate.gamma == 1.0
    assert changed.train == plain.train
    assert changed.model != plain.model


def test_a_variant_overrides_one_dataset_alone(load, document):
    document["otherworld"] = copy.deepcopy(document["toyworld"])
    document["variants"]["exp1"]["train"] = {"epochs": 2, "otherworld": {"epochs": 5}}
    assert load("exp1", "toyworld").train.epochs == 2
    assert load("exp1", "otherworld").train.epochs == 5


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"learning_rat": 1.0}, 'unknown key "variants.exp1.train.learning_rat", did you mean "learning_rate"?'),
        ({"toyworld": {"epoch": 1}}, 'unknown key "variants.exp1.train.toyworld.epoch", did you mean "epochs"?'),
        ({"toywrold": {"epochs": 1}}, 'unknown key "variants.exp1.train.toywrold", did you mean "toyworld"?'),
        ({"toyworld": 5}, 'unknown key "variants.exp1.train.toyworld"'),
    ],
)
def test_a_variants_unknown_keys(load, document, changes, part):
    document["variants"]["exp1"]["train"] = changes
    assert part in faults_of(load, "exp1")


def test_a_variants_wrong_value_is_named(load, document):
    document["variants"]["exp1"]["train"] = {"epochs": -3}
    assert "epochs is -3; expected 0 to inf" in faults_of(load, "exp1")


def test_overrides_in_the_variants_name(load):
    params = load("ours+train.learning_rate=0.001+evaluate.gamma=1")
    assert params.train.learning_rate == 0.001
    assert params.evaluate.gamma == 1.0
    assert load("ours").evaluate.gamma != 1.0


@pytest.mark.parametrize(
    ("variant", "part"),
    [
        (
            "ours+train.learning_rat=1",
            'override "+train.learning_rat=1": unknown key, did you mean "train.learning_rate"',
        ),
        ("ours+detect.score_threshold=0.1", "expected +stage.key=value"),
        ("ours+train.learning_rate=1e-3", "YAML reads 1e-4 as text"),
        ("ours+train.learning_rate", "toyworld.train.learning_rate is None"),
        ("ours+train.learning_rate=[", 'override "+train.learning_rate=["'),
        ("our", 'no variant "our", did you mean "ours"?'),
    ],
)
def test_wrong_overrides_in_the_variants_name(load, variant, part):
    assert part in faults_of(load, variant)


def test_unknown_dataset_gets_a_suggestion(load):
    assert 'no dataset "toywrld", did you mean "toyworld"?' in faults_of(load, dataset="toywrld")


@pytest.mark.parametrize(
    "broken", [None, [], "ours", {"ours": {"desc": "", "model": None, "train": {}, "evaluate": {}}}]
)
def test_damaged_variants_are_a_fault_of_the_file(load, document, broken):
    document["variants"] = broken
    assert "variants" in faults_of(load, "ours")


def test_a_section_that_is_none_stays_a_fault_under_a_variant(load, document):
    document["toyworld"]["train"] = None
    assert "toyworld.train: expected a section, found NoneType" in faults_of(load, "ours+train.epochs=2")


@pytest.mark.parametrize(("text", "part"), [("a: [", "not YAML"), ("- 1", "expected a mapping")])
def test_not_a_params_file(tmp_path, text, part):
    (tmp_path / "params.yaml").write_text(text)
    with pytest.raises(ParamError, match=part):
        load_params(tmp_path / "params.yaml", "toyworld")
    with pytest.raises(ParamError, match="does not exist"):
        load_params(tmp_path / "absent.yaml", "toyworld")


def test_digest_is_of_the_values(load, document):
    before = digest_of(load().train)
    document["toyworld"]["train"] = dict(reversed(document["toyworld"]["train"].items()))
    assert digest_of(load().train) == before
    document["toyworld"]["train"]["epochs"] += 1
    assert digest_of(load().train) != before
    assert digest_of({"b": 1, "a": (2, 3)}) == digest_of({"a": [2, 3], "b": 1})


def test_execution_is_checked_like_any_section(tmp_path, document):
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(document))
    assert load_execution(path).scheduler is None
    document["execution"] |= {"decode_threads": 0, "schedular": None}
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(ParamError, match=r"execution\.schedular.*execution\.decode_threads is 0"):
        load_execution(path)


def test_execution_is_needed_except_where_a_manifest_is_run_again(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("toyworld: {}\n")
    with pytest.raises(ParamError, match="execution: expected a section"):
        load_execution(path)
    path.write_text(f"{RERUN_MARK}: detect\n")
    assert load_execution(path) == IN_PROCESS


def test_execution_is_no_dataset(load):
    assert 'no dataset "execution"; it has custom, hicodet' in faults_of(load, dataset="execution")


def test_a_setting_is_overridden_also_where_the_dataset_leaves_all_to_defaults(load, document):
    assert "bilevel" not in document["hicodet"]["model"]
    params = load("ours+model.bilevel.dropout=0.1+model.bilevel.ktn=none", "hicodet")
    assert params.model.settings == {"bilevel": {"dropout": 0.1, "ktn": "none"}}
