import dataclasses
import re

import numpy as np
import pytest
import torch

from pipeline.core.errors import DataError
from pipeline.data.pixels import normalize_pixels
from pipeline.data.role_cap import RoleCap
from pipeline.store.pair_labels_file import SplitPairLabels
from pipeline.store.ragged import offsets_of
from pipeline.training import loop
from pipeline.training.distributed import ALONE
from pipeline.training.log import TrainingLog
from pipeline.training.loop import TrainingRun, train
from pipeline.training.params import TrainParams
from pipeline.training.resume import TrainingState
from tests.small_model import chosen, fit_norms, image_logits, short_run, small_model
from tests.small_split import small_bags, with_damaged_labels


@pytest.fixture
def params(toyworld_params):
    return short_run(toyworld_params[TrainParams], epochs=3, batch_size=3)


@pytest.fixture
def bags(tmp_path, vocabulary, seed):
    return small_bags(tmp_path / "split", vocabulary, [4, 3, 0, 5, 4, 1, 4, 4], seed=seed)


@pytest.fixture
def start(tmp_path, vocabulary, model_params, small_visual, bags, params, seed):
    """Train a fresh copy of the same network; returns (network, log, iterations done in this call)."""

    def run(work="work", digest="x", stop=None, tell=None, settings=(), **changes):
        section = dataclasses.replace(params, **changes)
        # Dropout on, so that the global generator's state matters as well.
        model = small_model(vocabulary, chosen(model_params, dropout=0.2, **dict(settings)), small_visual, seed=seed)
        steps = []

        def progress(losses):
            if len(steps) == stop:
                raise KeyboardInterrupt
            steps.append(losses)

        job = TrainingRun(section, digest, tmp_path / work, torch.device("cpu"), progress, tell=tell)
        log = train(model, vocabulary, bags, job)
        return model.network, log, len(steps)

    return run


_STRAIGHT = {}


@pytest.fixture
def straight(start, seed):
    """The undisturbed run, trained once for all tests."""

    def run(**changes):
        key = (seed, *changes.items())
        if key not in _STRAIGHT:
            _STRAIGHT[key] = start(work="straight", **changes)
        return _STRAIGHT[key]

    return run


def assert_same(one, other):
    """Of two networks: the same weights, to the bit."""
    states = one.state_dict(), other.state_dict()
    assert states[0].keys() == states[1].keys()
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name]), name


def assert_same_run(found, expected, steps):
    """The same network and log, of which this call has done so many iterations."""
    assert found[2] == steps
    assert_same(found[0], expected[0])
    assert found[1].text() == expected[1].text()


def pixels_of(bags):
    return normalize_pixels(torch.stack([bags[index].pixels for index in range(len(bags))]))


@torch.inference_mode()
def recognized(network, bags):
    """Probabilities [I, H] of the images' HOI classes."""
    return torch.sigmoid(image_logits(network, pixels_of(bags)))


def cut(start, stop, **changes):
    """Train up to iteration `stop`, which is interrupted."""
    with pytest.raises(KeyboardInterrupt):
        start(work="cut", stop=stop, **changes)
    torch.manual_seed(999)  # a new process starts from elsewhere


REFINED = (("bags", "category"), ("refinement_heads", 2), ("refinement_ramp", 1.0))


@pytest.mark.parametrize(
    ("stops", "left", "changes"),
    [
        ([1], 6, {}), ([3], 4, {}), ([4], 2, {}), ([5], 2, {}),
        ([3, 2], 2, {}),  # twice
        ([3], 4, {"freeze_batch_norm": False}),
        ([3], 4, {"settings": REFINED}),  # a loss that grows with the progress of training
    ],
)  # fmt: skip
def test_resume_is_bit_exact(start, straight, stops, left, changes):
    """Six iterations, a resume point after every second: stopped in iteration `stop`, `left` are run again."""
    for stop in stops:
        cut(start, stop, **changes)
    assert_same_run(start(work="cut", **changes), straight(**changes), left)


@pytest.mark.parametrize("method", ["bilevel_boxes", "mx_hoi_like"])
def test_resume_is_bit_exact_with_boxes_of_some_images(
    method, vocabulary, model_params, small_visual, bags, params, tmp_path
):
    """Of eight images, four have boxes; stopped in the fifth of six iterations, two are run again."""
    paired = np.diff(bags.proposals.offsets) > 1  # the first two proposals of an image are a human and an object
    first = [[0, 1, hoi.hoi_ids[0]] for hoi, is_paired in zip(bags.manifest.labels, paired, strict=True) if is_paired]
    bags.pair_labels = SplitPairLabels(bags.manifest.image_ids, offsets_of(paired.astype(int)), np.array(first))
    bags.has_boxes[:4] = True
    losses = []

    def run(work, stop=None):
        model = small_model(vocabulary, chosen(model_params, method=method, dropout=0.2), small_visual)
        losses.clear()

        def progress(row):
            if len(losses) == stop:
                raise KeyboardInterrupt
            losses.append(row)

        job = TrainingRun(params, "x", tmp_path / work, torch.device("cpu"), progress)
        log = train(model, vocabulary, bags, job)
        return model.network, log, len(losses)

    straight = run("straight")
    assert any(row["boxes"] > 0 for row in losses)
    with pytest.raises(KeyboardInterrupt):
        run("cut", 4)
    torch.manual_seed(999)
    assert_same_run(run("cut"), straight, 2)


def _flipped(position, bit):
    def damage(data):
        data[position(data)] ^= 1 << bit
        return data

    return damage


def first_row(data):
    return data.index(b"\n") + 3


def last_row(data):
    return len(data) - 4


DAMAGES = {  # file in the work folder, and what happens to its bytes; None removes it
    "a resume point cut short": ("resume.safetensors", lambda data: data[:-7]),
    "no log": ("log.csv", None),
    "a log of one row": ("log.csv", lambda data: b"\n".join(data.split(b"\n")[:2]) + b"\n"),
    "another digit in the first row": ("log.csv", _flipped(first_row, 0)),
    "another digit in the last row": ("log.csv", _flipped(last_row, 0)),
    "no UTF-8 in the first row": ("log.csv", _flipped(first_row, 7)),
    "no UTF-8 in the last row": ("log.csv", _flipped(last_row, 7)),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_run_starts_again(start, straight, tmp_path, name):
    file, damage = DAMAGES[name]
    cut(start, 3)
    path = tmp_path / "cut" / file
    data = bytearray(path.read_bytes())
    path.unlink()
    if damage is not None:
        path.write_bytes(damage(data))
    assert_same_run(start(work="cut"), straight(), 6)


def test_a_resume_point_of_another_run_is_not_used(start):
    cut(start, 3)
    assert start(work="cut", digest="y")[2] == 6


def test_a_loss_far_from_its_level_is_told_with_the_images_and_training_goes_on(start, bags, monkeypatch):
    told, losses = [], iter([5.0] * 9 + [777.0])
    step = loop.optimizer_step
    monkeypatch.setattr(loop, "optimizer_step", lambda *a, **k: torch.full_like(step(*a, **k), next(losses)))
    _, log, steps = start(epochs=5, tell=told.append)
    assert steps == len(log.rows) == 10
    (line,) = told
    assert "loss 777 in iteration 9, 5 before, at images image " in line
    assert len(set(bags.manifest.image_ids) & set(re.findall(r"image \d", line))) == 3


def test_proposals_that_the_cap_leaves_out_are_told_before_the_first_step(start, bags, vocabulary):
    bags.max_proposals, told = RoleCap(4, vocabulary.human_object_id), []
    start(tell=told.append)
    assert told == [bags.max_proposals.left_out(bags.proposals, bags.learned)]
    assert told[0].startswith("train.max_proposals is 4: 1 of 8 images have more proposals; ")


def test_weights_that_are_not_finite_are_never_saved(start, bags, tmp_path, monkeypatch):
    """A gradient may be infinite where the loss is not: the step is stopped before its resume point is written."""

    def infinite(parameters, _):
        next(iter(parameters)).data.fill_(float("inf"))
        return torch.tensor(float("inf"))

    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", infinite)
    with pytest.raises(DataError, match=r"'gradient norm': inf"):
        start(checkpoint_every=1)
    assert not (tmp_path / "work" / "resume.safetensors").exists()


def test_no_resume_point_starts_at_zero(tmp_path):
    network = torch.nn.Linear(1, 1)
    optimizer = torch.optim.AdamW(network.parameters())
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 1.0)
    state = TrainingState(network, optimizer, schedule, torch.device("cpu"), ALONE)
    log = TrainingLog(tmp_path / "log.csv", (), ["a row"] * 9)
    assert state.load(tmp_path / "none.safetensors", digest="x", log=log) == 0


def test_a_run_is_a_function_of_its_seed(start, straight):
    assert_same_run(start(), straight(), 6)
    assert start(work="other", seed=1)[1].text() != straight()[1].text()


def test_training_moves_every_part_but_the_frozen_norms(start, straight):
    before = start(work="a", epochs=1, learning_rate=0.0, backbone_learning_rate=0.0, weight_decay=0.0)[0].state_dict()
    after = straight()[0].state_dict()
    moved = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert {"bank", "logit_scale", "global_bias", "interaction_head.3.weight", "relatedness_head.3.weight"} <= moved
    assert "backbone.trunk.0.weight" in moved
    assert not any("running_" in name or name.startswith("backbone.trunk.1.") for name in moved)  # a batch norm


def test_calibration_starts_at_the_label_rate(start, bags):
    network = start(epochs=1, batch_size=8, learning_rate=0.0, backbone_learning_rate=0.0)[0]
    probability = recognized(network, bags).mean()
    assert probability.item() == pytest.approx(bags.labels.mask().mean(), rel=1e-4)


def test_it_learns_which_image_shows_what(start, bags, small_visual, seed):
    """On average: how sure the network gets of one image hangs on the seed and on the last bits of the CPU."""
    fit_norms(small_visual, pixels_of(bags))
    network, log, _ = start(epochs=40, batch_size=8, checkpoint_every=1000, decay_at=(), seed=seed)
    losses = [float(row.split(",")[2]) for row in log.rows]
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5])
    probability, shown = recognized(network, bags), torch.from_numpy(bags.labels.mask())
    assert probability[shown].mean() - probability[~shown].mean() > 0.5


def test_a_loss_that_is_not_finite_names_its_images(start, bags):
    bags.labels = with_damaged_labels(bags, 3).labels
    with pytest.raises(DataError, match=r"loss is .* at images .*\bimage 3\b.*; lower train.learning_rate"):
        start()


@pytest.mark.parametrize("object_id", [0, 1, 3])
def test_a_split_without_any_pair_is_refused(start, bags, object_id):
    bags.proposals.object_ids[:] = object_id  # humans alone, bicycles alone; lamps, that no HOI class has
    with pytest.raises(DataError, match="none of 8 images has a human and an object to pair"):
        start()


def test_no_epoch_keeps_the_weights_that_training_starts_from(start):
    """The calibrated bias of s_g among them."""
    network, log, steps = start(work="none", epochs=0)
    assert steps == 0 and log.text().count("\n") == 1  # the header
    resting = start(epochs=1, learning_rate=0.0, backbone_learning_rate=0.0, weight_decay=0.0)[0]
    assert_same(network, resting)
    assert network.global_bias.item() != 0
