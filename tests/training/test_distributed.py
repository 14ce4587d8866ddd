"""Ranks that share each batch, against one process with the same batch: two processes on the CPU."""

import copy
import dataclasses
import re
from datetime import timedelta

import pytest
import torch
from torch import distributed
from torch.multiprocessing import spawn

from pipeline.config.params import ExecutionParams
from pipeline.core.errors import DataError, ParamError
from pipeline.methods.base import BatchCounts
from pipeline.methods.image_labels import LabeledClasses
from pipeline.training.distributed import ALONE, Ranks, check_shares, join_ranks
from pipeline.training.loop import TrainingRun, train
from tests.conftest import make_batch
from tests.small_model import chosen, counts_of, images_of, run, small_model
from tests.small_split import with_damaged_labels
from tests.training.conftest import COUNTS


@pytest.mark.parametrize(("count", "size"), [(8, 2), (7, 2), (3, 3), (10, 4), (5, 1)])
def test_parts_are_the_batch_in_order(count, size):
    rows = list(range(count))
    parts = [rows[Ranks(rank, size, rank).part(count)] for rank in range(size)]
    assert [row for part in parts for row in part] == rows
    assert {len(part) for part in parts} <= {count // size, -(-count // size)}
    assert Ranks(0, size, 0).part(count, size - 1) == Ranks(size - 1, size, 0).part(count)


def test_what_ranks_cannot_share_is_refused():
    check_shares(ALONE, batch_size=1, moving_norms=True)
    check_shares(Ranks(1, 4, 1), batch_size=4, moving_norms=False)
    with pytest.raises(ParamError, match=r"a batch of 3 images cannot be shared by 4 ranks .* at most 3"):
        check_shares(Ranks(1, 4, 1), batch_size=3, moving_norms=False)
    with pytest.raises(ParamError, match=r"train.freeze_batch_norm is false.* train on one rank"):
        check_shares(Ranks(1, 4, 1), batch_size=4, moving_norms=True)


def test_no_torchrun_is_one_rank(monkeypatch):
    for size in (None, "1"):
        if size:
            monkeypatch.setenv("WORLD_SIZE", size)
        with join_ranks() as ranks:
            assert ranks is ALONE
            ranks.connect(torch.device("cpu"))
            assert not distributed.is_initialized()
            assert ranks.sum(3, torch.device("cpu")) == 3
            assert ranks.gather(torch.ones(2)).tolist() == [[1, 1]]


def test_half_an_environment_is_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(ParamError, match=r"WORLD_SIZE=2 but not LOCAL_RANK, MASTER_ADDR, MASTER_PORT; start with"):
        join_ranks().__enter__()


def test_the_first_of_two_that_fail_says_so(tmp_path):
    store = distributed.HashStore()
    first, second = (Ranks(rank, 2, rank, store) for rank in (1, 0))
    assert first.first_to_fail()
    assert not second.first_to_fail()
    assert first.first_to_fail()
    assert ALONE.first_to_fail()


def test_standing_by_ends_with_the_exit_code_of_a_mistake(monkeypatch):
    monkeypatch.setattr("pipeline.training.distributed._PATIENCE", timedelta(milliseconds=10))
    with pytest.raises(SystemExit) as ended:
        Ranks(0, 2, 0, distributed.HashStore()).stand_by()
    assert ended.value.code == 2


REFINED = {"bags": "category", "refinement_heads": 2}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        REFINED,
        {"method": "ppr_fcn"},
        {"method": "prompt_classifier", "classifier": "mlp"},
        {"method": "regformer"},
        {"method": "alignformer_like"},
    ],
)
def test_losses_of_parts_add_up_to_the_batchs(build, bags_of, vocabulary, params, changes):
    """By the whole batch's counts, not each part's own; the second part has an image without pairs."""
    model = build(**changes)
    losses = model.method.losses(LabeledClasses(vocabulary))

    def terms_of(images, counts=None):
        part = bags_of(images)
        pairs, outputs = run(model, vocabulary, part)
        return len(pairs.bags), torch.stack([*losses(outputs, part, pairs, counts or counts_of(part, pairs)).values()])

    counts = BatchCounts(images=5, bags=torch.tensor(4), labels=7)
    parts = [terms_of(images, counts) for images in ([0, 1, 3], [4, 2])]
    assert [bags for bags, _ in parts] == [3, 1]
    _, expected = terms_of([0, 1, 3, 4, 2])
    torch.testing.assert_close(sum(terms for _, terms in parts), expected, rtol=1e-5, atol=1e-6)
    assert (expected > 0).all()
    alone = sum(terms_of(images)[1] for images in ([0, 1, 3], [4, 2]))
    assert not torch.allclose(alone, expected, rtol=1e-2)


# Two processes


@pytest.fixture
def bags_of(vocabulary, seed):
    """The given images of one fixed batch."""
    batch = make_batch(COUNTS, vocabulary, seed=seed)
    first = batch.proposal_offsets[:-1][batch.proposal_offsets.diff() > 1]
    batch.object_ids[first], batch.object_ids[first + 1] = vocabulary.human_object_id, 1

    return lambda images: images_of(batch, images)


@pytest.fixture
def build(vocabulary, model_params, small_visual, seed):
    """A model of params with changes, the same weights each time."""

    def make(method="bilevel", **changes):
        fixed = {"calibrate_global_bias": False} if method == "bilevel" else {}
        section = chosen(model_params, method=method, **(fixed | changes))
        return small_model(vocabulary, section, small_visual, seed=seed)

    return make


def one_rank(model, vocabulary, bags, run, ranks, outcome, stop=None):
    """Train a copy; leave state, log and steps, or the error, in a file of this rank's."""
    steps = []

    def progress(losses):
        if len(steps) == stop:
            raise InterruptedError
        steps.append(losses)

    model = copy.deepcopy(model)
    bags.class_probabilities = model.method.needs_class_probabilities
    torch.manual_seed(100 + ranks.rank)  # a new process starts from elsewhere
    result = {"steps": steps, "error": None}
    try:
        log = train(model, vocabulary, bags, dataclasses.replace(run, progress=progress, ranks=ranks))
        result |= {"log": log.text(), "state": model.network.state_dict()}
    except (DataError, InterruptedError) as error:
        result["error"] = f"{type(error).__name__}: {error}"
    torch.save(result, outcome.with_suffix(f".{ranks.rank}"))


def _rank_process(rank, size, folder, scenarios):
    """Body of one of the processes: all scenarios in turn."""
    torch.set_num_threads(1)
    store = distributed.FileStore(str(folder / "store"), size)
    ranks = Ranks(rank, size, rank, store)
    ranks.connect(torch.device("cpu"))
    for model, vocabulary, bags, job, outcome, stop in scenarios:
        one_rank(model, vocabulary, bags, job, ranks, outcome, stop)
    distributed.destroy_process_group()


def _results(outcome, size):
    return [torch.load(outcome.with_suffix(f".{rank}"), weights_only=True) for rank in range(size)]


def _run(work, params, micro_batch=None):
    execution = ExecutionParams(micro_batch=micro_batch)
    return TrainingRun(params, "x", work, torch.device("cpu"), progress=None, execution=execution)


LOSSES = {
    "ours": {},
    "abl4": {"method": "prompt_classifier", "classifier": "mlp"},
    "baseline": {"hoi_recognition": False, "ktn": "none", "relatedness": False},
    "refined": REFINED,
}
OTHERS = {
    name: {"method": name} for name in ("bilevel_boxes", "explanation_hoi", "mx_hoi_like", "ppr_fcn", "regformer")
}
DROPOUT = {"dropout": 0.2}  # so that the random numbers of both ranks matter
SCENARIOS = {  # changes of the model, work folder, iterations until it is interrupted
    **{name: (changes, name, None) for name, changes in (LOSSES | OTHERS).items()},
    "micro-batches": ({}, "micro-batches", None),
    "statistics": ({"method": "alignformer_like"}, "statistics", None),
    "straight": (DROPOUT, "straight", None),
    "cut": (DROPOUT, "cut", 3),
    "resumed": (DROPOUT, "cut", None),
    "damaged": (DROPOUT, "damaged", None),  # the labels of an image
}
_FOUND = {}


@pytest.fixture
def two_ranks(tmp_path, build, bags, params, vocabulary, seed):
    """Results of both ranks in each scenario, all from one pair of processes."""
    if seed not in _FOUND:
        damaged = with_damaged_labels(bags, 3)
        jobs = [
            (build(**changes), vocabulary, damaged if name == "damaged" else bags,
             _run(tmp_path / work, params, 1 if name == "micro-batches" else None), tmp_path / name, stop)
            for name, (changes, work, stop) in SCENARIOS.items()
        ]  # fmt: skip
        spawn(_rank_process, (2, tmp_path, jobs), nprocs=2)
        _FOUND[seed] = {name: _results(tmp_path / name, 2) for name in SCENARIOS}
    return _FOUND[seed]


@pytest.mark.slow
def test_two_ranks_equal_one(tmp_path, build, bags, params, two_ranks, vocabulary):
    """Uneven parts, images without pairs, unused parameters, every kind of loss, micro-batches of one image.

    The steps tell the norm of their gradients.

    Adam divides a gradient by its own size: where one is all but zero, the order of a sum may move a parameter by a
    good part of the learning rate. So parameters agree to a five-hundredth of how far the run has moved any of them.
    """
    for name, changes in [*LOSSES.items(), ("micro-batches", {})]:
        model = build(**changes)
        one_rank(model, vocabulary, bags, _run(tmp_path / "alone" / name, params), ALONE, tmp_path / f"{name}-alone")
        (expected,) = _results(tmp_path / f"{name}-alone", 1)
        first, second = two_ranks[name]
        assert not first["error"]
        start = {key: value.detach() for key, value in model.network.named_parameters()}
        moved = max(float((expected["state"][key] - value).abs().max()) for key, value in start.items())
        assert moved > 2e-3
        for key, value in expected["state"].items():
            torch.testing.assert_close(first["state"][key], value, rtol=0, atol=2e-3 * moved)
            assert torch.equal(first["state"][key], second["state"][key])
        assert len(first["steps"]) == len(expected["steps"]) == 4
        for mine, theirs in zip(first["steps"], expected["steps"], strict=True):
            assert mine | {"waiting": 0} == pytest.approx(theirs | {"waiting": 0}, rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_two_ranks_train_every_other_method(tmp_path, build, bags, params, two_ranks, vocabulary, name):
    """As above for losses and gradients; of parameters, some of which Adam moves by rounding alone, the mean.

    mx_hoi_like swaps objects within a rank, so that ranks change its results.
    """
    model = build(**OTHERS[name])
    one_rank(model, vocabulary, bags, _run(tmp_path / "alone", params), ALONE, tmp_path / "alone")
    (expected,), (first, second) = _results(tmp_path / "alone", 1), two_ranks[name]
    assert not first["error"] and len(first["steps"]) == len(expected["steps"]) == 4
    assert all(torch.equal(value, second["state"][key]) for key, value in first["state"].items())
    if name == "mx_hoi_like":
        return
    for mine, theirs in zip(first["steps"], expected["steps"], strict=True):
        assert mine | {"waiting": 0} == pytest.approx(theirs | {"waiting": 0}, rel=1e-3)
    start = dict(model.network.named_parameters())
    way = torch.cat([(expected["state"][key] - value.detach()).flatten() for key, value in start.items()]).abs().mean()
    off = torch.cat([(expected["state"][key] - first["state"][key]).flatten() for key in start]).abs().mean()
    assert way > 1e-5 and off < 1e-3 * way


@pytest.mark.slow
def test_statistics_of_candidates_are_those_of_both_ranks(tmp_path, build, bags, params, two_ranks, vocabulary):
    """Its keys have biases, whose gradients are zero but for rounding: parameters are compared between ranks alone."""
    one_rank(build(**SCENARIOS["statistics"][0]), vocabulary, bags, _run(tmp_path, params), ALONE, tmp_path / "alone")
    (expected,), (first, second) = _results(tmp_path / "alone", 1), two_ranks["statistics"]
    assert all(torch.equal(value, second["state"][key]) for key, value in first["state"].items())
    found, one = (result["state"]["prior_statistics"] for result in (first, expected))
    torch.testing.assert_close(found, one, rtol=1e-4, atol=1e-4)
    assert one[:, 0].max() > 3  # beside the made-up pair, labels of several images
    for mine, theirs in zip(first["steps"], expected["steps"], strict=True):
        assert mine | {"waiting": 0} == pytest.approx(theirs | {"waiting": 0}, rel=1e-3)


@pytest.mark.slow
def test_two_ranks_resume_bit_exactly_and_name_images_at_fault(two_ranks):
    assert [result["error"] for result in two_ranks["cut"]] == ["InterruptedError: "] * 2
    for result, straight in zip(two_ranks["resumed"], two_ranks["straight"], strict=True):
        assert len(result["steps"]) == 2
        assert result["log"] == straight["log"]
        assert all(torch.equal(value, straight["state"][key]) for key, value in result["state"].items())
    messages = {result["error"] for result in two_ranks["damaged"]}  # torchrun's ranks print one of them (join_ranks)
    assert len(messages) == 1
    named = messages.pop().partition("images")[2]
    assert re.search(r"\bimage 3\b", named)
    assert named.count("image ") in (2, 3)  # of one rank's part alone
