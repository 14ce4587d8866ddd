import copy
import dataclasses
import re

import pytest
import yaml

import pipeline.config.params
from pipeline.config.params import (
    RERUN_MARK,
    ExecutionParams,
    load_execution,
    load_figure_seeds,
    load_figure_variants,
    load_params,
    load_run_variants,
    load_variants,
)
from pipeline.config.run import Run
from pipeline.config.sections import SECTIONS, digest_of, section_class
from pipeline.core.errors import ParamError
from pipeline.evaluation.params import EvaluateParams
from pipeline.methods.params import ModelParams
from pipeline.prompts.params import PromptParams
from pipeline.training.params import TrainParams
from pipeline.truth.params import PrepareParams
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
        return load_params(path, dataset, Run.parse(variant) if variant is not None else None)

    return write_and_load


def faults_of(load, variant=None, dataset="toyworld") -> str:
    with pytest.raises(ParamError) as caught:
        load(variant, dataset)
    message = str(caught.value)
    assert message.startswith("params.yaml: ")
    assert "\n" not in message
    return message


def test_the_repositorys_own_file_loads_for_every_dataset_and_variant(monkeypatch):
    path = ROOT / "params.yaml"
    datasets = [name for name, section in DOCUMENT.items() if isinstance(section, dict) and "prepare" in section]
    assert set(DOCUMENT["datasets"]) <= set(datasets)
    for read in (load_run_variants, load_figure_variants):
        assert set(read(path)) <= set(load_variants(path))
    assert load_figure_seeds(path) == tuple(DOCUMENT["figure_seeds"])
    document = pipeline.config.params.read_params_file(path)
    monkeypatch.setattr(pipeline.config.params, "read_params_file", lambda path: document)  # parsed once: quick
    for dataset in datasets:
        for variant in (None, *load_variants(path)):
            load_params(path, dataset, Run.parse(variant) if variant else None)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("run_variants", ["our"], 'run_variants: no variant "our", did you mean "ours"'),
        ("figure_variants", ["ours", "ours"], 'figure_variants: "ours" is listed twice'),
        ("run_variants", [], "run_variants is empty; expected a list of names"),
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
    with pytest.raises(ParamError, match=re.escape(message)):
        getattr(pipeline.config.params, f"load_{key}")(path)


def test_variants_to_run_are_those_of_three_lists(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump({**DOCUMENT, "run_variants": ["ours"], "run_boxes_variants": ["exp1"]}))
    assert load_run_variants(path) == ("ours", "exp1")
    path.write_text(yaml.safe_dump({**DOCUMENT, "run_variants": ["ours"], "run_image_variants": ["exp1", "ours"]}))
    with pytest.raises(ParamError, match='run_image_variants: "ours" is listed twice'):
        load_run_variants(path)


def test_sections_become_what_the_file_says(load, document):
    params = load()
    assert params[TrainParams].learning_rate == document["toyworld"]["train"]["learning_rate"]
    assert params[TrainParams].decay_at == tuple(document["toyworld"]["train"]["decay_at"])
    assert params[PromptParams].verb_forms == {}
    assert params[PrepareParams].num_images == document["toyworld"]["prepare"]["num_images"]


def test_an_integer_is_a_number(load, document):
    document["toyworld"]["train"]["learning_rate"] = 2
    rate = load()[TrainParams].learning_rate
    assert rate == 2.0
    assert isinstance(rate, float)


def test_missing_key_is_named(load, document):
    del document["toyworld"]["train"]["epochs"]
    assert 'missing key "toyworld.train.epochs"' in faults_of(load)


@pytest.mark.parametrize(
    ("text", "value"), [("1e-05", 1e-05), ("1E-5", 1e-05), ("1e1", 10.0), (".5", 0.5), ("010", 10.0), ("1.0e-4", 1e-4)]
)
def test_numbers_are_read_by_the_rules_of_yaml_1_2_as_dvc_writes_them(tmp_path, text, value):
    plain = f"\n    learning_rate: {DOCUMENT['toyworld']['train']['learning_rate']}\n"
    written = yaml.safe_dump(DOCUMENT).replace(plain, f"\n    learning_rate: {text}\n")
    assert f"learning_rate: {text}" in written
    (tmp_path / "params.yaml").write_text(written)
    assert load_params(tmp_path / "params.yaml", "toyworld")[TrainParams].learning_rate == value
    by_hand = f"ours+train.learning_rate={text}"
    assert load_params(ROOT / "params.yaml", "toyworld", Run.parse(by_hand))[TrainParams].learning_rate == value


def test_words_of_yaml_1_1_are_text_as_for_dvc(load, document, tmp_path):
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(document).replace("channels_last: true", "channels_last: yes"))
    with pytest.raises(ParamError, match=r"channels_last is 'yes' \(str\); expected a valid boolean"):
        load_execution(tmp_path / "params.yaml")


@pytest.mark.parametrize(
    ("section", "key", "value", "part"),
    [
        ("train", "epochs", "eight", "toyworld.train.epochs is 'eight' (str); expected a valid integer"),
        ("train", "epochs", 1.5, "toyworld.train.epochs is 1.5 (float); expected a valid integer"),
        ("train", "epochs", True, "toyworld.train.epochs is True (bool); expected a valid integer"),
        ("train", "freeze_batch_norm", 1, "toyworld.train.freeze_batch_norm is 1 (int); expected a valid boolean"),
        ("train", "epochs", -1, "toyworld.train.epochs is -1; expected 0 to 100000"),
        ("train", "learning_rate", float("nan"), "toyworld.train.learning_rate is nan; expected"),
        ("train", "decay_at", [0.5, 1.5], "toyworld.train.decay_at.1 is 1.5; expected 0 to 1"),
        ("train", "decay_at", 0.5, "toyworld.train.decay_at is 0.5 (float); expected a valid tuple"),
        ("train", "batch_size", None, "toyworld.train.batch_size is None (NoneType); expected a valid integer"),
        ("model", "bank", "clipp", "toyworld.model.bank is 'clipp', did you mean \"clip\"?"),
        ("evaluate", "links", {"pairwise": "softmx"}, "toyworld.evaluate.links.pairwise is 'softmx', did you mean"),
        ("detect", "score_threshold", 1.01, "toyworld.detect.score_threshold is 1.01; expected 0 to 1"),
        ("prepare", "num_images", {"train": "many"}, "num_images.train is 'many' (str); expected a valid integer"),
        ("train", "epoch", 3, 'unknown key "toyworld.train.epoch", did you mean "epochs"?'),
        ("prepare", "source", "", "expected text that is not empty"),
        ("prepare", "source", "data/{split}", "expected as placeholders none"),
        ("prepare", "source", "data\0", "without control characters"),
        ("prepare", "num_images", 0, "prepare.num_images is 0 (int); expected a valid dictionary"),
        ("prepare", "num_images", {"train": 0, "val": 1, "test": 1}, "prepare.num_images.train is 0; expected 1 to"),
        ("prepare", "num_images", {"train": -5, "val": 1, "test": 1}, "prepare.num_images.train is -5; expected 1 to"),
        ("prepare", "num_images", {"tets": 5}, "prepare.num_images.tets is 'tets', did you mean \"test\"?"),
        ("prepare", "num_images", {1: 5}, "prepare.num_images.1 is 1; expected 'train', 'val' or 'test'"),
        ("prepare", "exponents", {"train": float("nan"), "val": 1, "test": 1}, "exponents.train is nan; expected"),
        ("prepare", "exponents", {"train": float("-inf"), "val": 1, "test": 1}, "exponents.train is -inf; expected"),
        ("prepare", "image_size", 0, "prepare.image_size is 0; expected"),
        ("prepare", "image_size", 100_000, "prepare.image_size is 100000; expected"),
        ("prepare", "seed", 2**32, "prepare.seed is 4294967296; expected 0 to 4294967295"),
        ("clip", "weights", " ", "clip.weights is ' '; expected text that is not empty"),
        ("detect", "source", "", "detect.source is ''; expected text that is not empty"),
        ("detect", "source", "own/{spilt}.h5", 'expected as placeholders {split}, did you mean "split"?'),
        ("detect", "source", "own/{}.h5", "expected as placeholders {split}"),
        ("detect", "source", "own/{split.name}.h5", "expected as placeholders {split}"),
        ("detect", "source", "own/{split!r}.h5", "expected as placeholders {split}"),
        ("detect", "source", "own/{split:9999999999}.h5", "expected as placeholders {split}"),
        ("detect", "source", "own/{split.h5", "expected braces that match"),
        ("encode_prompts", "template", "", "encode_prompts.template is ''; expected text that is not empty"),
        ("encode_prompts", "template", "a person", "expected one of {verb}, {verb_base}, {object} in it"),
        ("encode_prompts", "verb_forms", {"look": 1}, "verb_forms.look is 1 (int); expected a valid string"),
        ("encode_prompts", "verb_forms", None, "verb_forms is None (NoneType); expected a valid dict"),
        ("model", "image_size", 0, "model.image_size is 0; expected 32 to 4096"),
        ("model", "image_size", 1_000_000, "model.image_size is 1000000; expected 32 to 4096"),
        ("train", "gradient_clip", float("inf"), "train.gradient_clip is inf; expected"),
        ("evaluate", "times_run", "../abl1", "evaluate.times_run is '../abl1'; expected a name"),
        ("evaluate", "weights", {"detector": 10**400}, "evaluate.weights.detector is 1000"),
    ],
)  # fmt: skip
def test_values_that_cannot_work_are_refused(load, document, section, key, value, part):
    document["toyworld"][section][key] = value
    assert part in faults_of(load)


NUMBERS = [
    (section, item.name)
    for section in SECTIONS
    for item in dataclasses.fields(section_class(section))
    for value in [DOCUMENT["toyworld"][section].get(item.name, item.default)]
    if isinstance(value, int | float) and not isinstance(value, bool)
]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), 10**18, 1e30, -1e30])
def test_no_number_is_without_bounds(load, document, value):
    for section, key in NUMBERS:
        document["toyworld"][section][key] = value
    message = faults_of(load)
    assert [(section, key) for section, key in NUMBERS if f"toyworld.{section}.{key} is " not in message] == []


def test_all_faults_are_reported_at_once(load, document):
    document["toyworld"]["train"]["epoch"] = 3
    document["toyworld"]["train"]["batch_size"] = -1
    document["toyworld"]["detect"] = None
    document["variants"]["exp1"]["model"] = {"bnak": "random"}
    message = faults_of(load, "exp1")
    for part in (
        "train.epoch",
        "train.batch_size",
        "toyworld.detect: expected a section",
        'variants.exp1: unknown key "model.bnak"',
    ):
        assert part in message


def test_a_variant_overrides_only_its_keys(load, document):
    row = {"model": {"bilevel": {"ktn": "union"}}, "train": {}, "evaluate": {"weights": {"global": 0.5}}}
    document["variants"]["exp1"] = {"desc": "", **row}
    plain, changed = load(), load("exp1")
    assert changed[ModelParams].settings["bilevel"] == plain[ModelParams].settings["bilevel"] | {"ktn": "union"}
    assert changed[EvaluateParams].weights == {"detector": 2.8, "global": 0.5}
    assert changed[TrainParams] == plain[TrainParams]
    assert changed[ModelParams] != plain[ModelParams]


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"learning_rat": 1.0}, 'variants.exp1: unknown key "train.learning_rat", did you mean "learning_rate"?'),
        ({"toyworld": 5}, 'variants.exp1: unknown key "train.toyworld"'),
        ({"epochs": -3}, "epochs is -3; expected 0 to 100000"),
        ({1: 2}, "variants.exp1.train.1 is 1 (int); expected a valid string"),
    ],
)
def test_a_variants_wrong_keys_and_values(load, document, changes, part):
    document["variants"]["exp1"]["train"] = changes
    assert part in faults_of(load, "exp1")


def test_overrides_in_the_variants_name(load):
    params = load("ours+train.learning_rate=0.001+evaluate.weights.detector=1+model.bilevel.ktn=union")
    assert params[TrainParams].learning_rate == 0.001
    assert params[EvaluateParams].weights == {"detector": 1.0}
    assert load("ours")[EvaluateParams].weights == {"detector": 2.8}
    assert params[ModelParams].settings["bilevel"] == load()[ModelParams].settings["bilevel"] | {"ktn": "union"}


@pytest.mark.parametrize(
    ("variant", "part"),
    [
        (
            "ours+train.learning_rat=1",
            'override "+train.learning_rat=1": unknown key "train.learning_rat", did you mean "learning_rate"',
        ),
        ("ours+detect.score_threshold=0.1", "section detect cannot be overridden; expected one of model, train"),
        ("ours+train.learning_rate=", "toyworld.train.learning_rate is None"),
        ("ours+train.learning_rate=[", 'override "+train.learning_rate=["'),
        ("our", 'no variant "our", did you mean "ours"?'),
    ],
)
def test_wrong_overrides_in_the_variants_name(load, variant, part):
    assert part in faults_of(load, variant)


def test_unknown_datasets(load):
    assert 'no dataset "toywrld", did you mean "toyworld"?' in faults_of(load, dataset="toywrld")
    assert 'no dataset "execution"; it has custom, hicodet' in faults_of(load, dataset="execution")


@pytest.mark.parametrize(
    "broken", [None, [], "ours", {"ours": {"desc": "", "model": None, "train": {}, "evaluate": {}}}]
)
def test_damaged_variants_are_a_fault_of_the_file(load, document, broken):
    document["variants"] = broken
    assert "variants" in faults_of(load, "ours")


def test_a_section_that_is_none_stays_a_fault_under_a_variant(load, document):
    document["toyworld"]["train"] = None
    assert "toyworld.train: expected a section, found NoneType" in faults_of(load, "ours+train.epochs=2")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (b"a: [", "not YAML"),
        (b"- 1", "expected a mapping"),
        (b"a: caf\xe9", "byte 0xe9 is not UTF-8; save the file as UTF-8"),
        (b"a: !!bool x", "not YAML"),
        (b"a: 2024-13-45", "not YAML"),
        (b"a: 1\nb: {c: 2}\na: 3", 'key "a" on lines 1 and 3; expected each key once'),
        (b"x: &x {a: 1}\ny: {<<: *x, a: 2,\n a: 3}", 'key "a" on lines 2 and 3; expected each key once'),
        (b"x: {a: 1, a: 2}\ny: &y {b: 1, b: 2, c: *y}", 'key "a" on lines 1 and 1; key "b" on lines 2 and 2; expected'),
    ],
)
def test_not_a_params_file(tmp_path, text, part):
    (tmp_path / "params.yaml").write_bytes(text)
    with pytest.raises(ParamError, match=re.escape(part)):
        load_params(tmp_path / "params.yaml", "toyworld")


def test_a_params_file_that_cannot_be_opened(tmp_path):
    with pytest.raises(ParamError, match=r"absent.yaml does not exist; run from the root of a clone"):
        load_params(tmp_path / "absent.yaml", "toyworld")
    with pytest.raises(ParamError, match=r"cannot be read \(Is a directory\)"):
        load_params(tmp_path, "toyworld")


WRONG_NAMES = ["../x", "/x", "a/b", "a..b", ".a", "-a", "a b", "a;b", "a$b", "a\nb", "", "a" * 201, "caf\u00e9"]


def test_names_of_the_file_become_paths_and_are_checked_in_every_load(load, document):
    wrong = [*WRONG_NAMES, 1, None]
    document["variants"] |= dict.fromkeys(wrong, document["variants"]["ours"])
    document |= dict.fromkeys(wrong, document["toyworld"])
    message = faults_of(load)
    for name in wrong:
        assert f"{name!r} is a variant's name; expected a name of letters" in message
        assert f"{name!r} is a section's name; expected a name of letters" in message


@pytest.mark.parametrize("name", [*WRONG_NAMES, "ours+train.epochs=1;ls", "ours+model.clip=../x", "ours+epochs=1"])
def test_a_variants_name_on_the_command_line_is_checked(load, name):
    with pytest.raises(ParamError, match="expected"):
        load(name)


def test_an_unknown_section_of_a_variant(load, document):
    document["variants"]["exp2"][2] = 3
    assert 'unknown key "variants.exp2.2"' in faults_of(load)


def test_digest_is_of_the_values(load, document):
    before = digest_of(load()[TrainParams])
    document["toyworld"]["train"] = dict(reversed(document["toyworld"]["train"].items()))
    assert digest_of(load()[TrainParams]) == before
    document["toyworld"]["train"]["epochs"] += 1
    assert digest_of(load()[TrainParams]) != before
    assert digest_of({"b": 1, "a": (2, 3)}) == digest_of({"a": [2, 3], "b": 1})


def test_execution_is_checked_like_any_section_and_may_be_absent(tmp_path, document):
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(document))
    assert load_execution(path).scheduler is None
    document["execution"] |= {"decode_threads": 0, "schedular": None}
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(ParamError, match=r"execution\.decode_threads is 0.*execution\.schedular"):
        load_execution(path)
    path.write_text(f"{RERUN_MARK}: detect\n")
    assert load_execution(path) == ExecutionParams()


def test_a_setting_is_overridden_also_where_the_dataset_leaves_all_to_defaults(load, document):
    assert "bilevel" not in document["hicodet"]["model"]
    params = load("ours+model.bilevel.dropout=0.1+model.bilevel.ktn=none", "hicodet")
    assert params[ModelParams].settings == {"bilevel": {"dropout": 0.1, "ktn": "none"}}
