"""The training loop: bags in, a trained network out, resumable at any checkpoint.

A run is a pure function of its params, its inputs and the seed: the order of images, flips and dropout all come from
seeded streams, and a resumed run gives the same bits as an undisturbed one on the same machine type. Ranks that share
each batch (training/distributed.py) give what one process gives, up to the order of float sums.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import torch

from pipeline.backbones.base import freeze_batch_norm
from pipeline.config.params import ExecutionParams
from pipeline.core.bags import BagBatch
from pipeline.core.errors import DataError, ParamError, did_you_mean
from pipeline.core.seeding import torch_generator, torch_seed
from pipeline.core.vocabulary import Vocabulary
from pipeline.data.bags import BagDataset, EpochSampler, load_batches
from pipeline.data.role_cap import RoleCap
from pipeline.methods.base import check_columns
from pipeline.methods.image_labels import LabeledClasses
from pipeline.methods.model import HoiModel
from pipeline.methods.pairing import PairRule
from pipeline.training.distributed import ALONE, Ranks, check_shares
from pipeline.training.feed import Feed
from pipeline.training.log import TrainingLog
from pipeline.training.memory import memory_explained
from pipeline.training.optimizer import SeparateMomentsAdam, build_optimizer, build_schedule, learning_rate
from pipeline.training.params import TrainParams
from pipeline.training.resume import TrainingState
from pipeline.training.step import BatchLoss, check_micro_batch, optimizer_step, place_network
from pipeline.training.watch import LossWatch

_CALIBRATION_BATCHES = 8


@dataclass(frozen=True)
class TrainingRun:
    """What one run needs beside network and data.

    Attributes:
        params: the `train` section.
        digest: names params, inputs, code, number of ranks and kind of device; a resume point of another is not used.
        work: folder of the resume point and of the growing log.
        device: where to train.
        progress: called after every iteration with its losses, `iteration` and `epoch` (begun at 0), `learning_rate`,
            and under `waiting` the share of the time since the first iteration in which no batch was ready.
        execution: affects speed and memory, not results.
        ranks: who shares each batch.
        tell: called with one line on what a user should look at while training goes on.
    """

    params: TrainParams
    digest: str
    work: Path
    device: torch.device
    progress: Callable[[dict[str, float]], None]
    execution: ExecutionParams = field(default_factory=ExecutionParams)
    ranks: Ranks = ALONE
    tell: Callable[[str], None] | None = None


def train(model: HoiModel, vocabulary: Vocabulary, dataset: BagDataset, run: TrainingRun) -> TrainingLog:
    """Train the model's network in place and return the log of all iterations.

    Raises:
        ParamError: the ranks cannot share the batch, or `execution` does not go with `train`.
        DataError: no training image has a pair, or the loss is not finite (names the images of the batch).
        ArtifactError: the ranks see different resume points.
    """
    params, ranks, network = run.params, run.ranks, model.network
    separates = model.method.separates_supervision
    per_epoch = batches_per_epoch(model, dataset, params)
    iterations = per_epoch * params.epochs
    rule = PairRule.of(vocabulary)
    _check_labels(dataset)
    if model.method.needs_proposals:
        _check_pairs(rule, dataset)
        _tell_left_out(dataset, run)
    weights = loss_weights(model.method.loss_names, params)
    state, log = _start(model, dataset, run, iterations)
    if not iterations:  # keep the weights that training would start from (Abl 1)
        network.eval()
        return log
    start = len(log.rows)
    feed = Feed(
        dataset,
        _sampler(dataset, params, start, separates=separates),
        rule,
        params,
        device=run.device,
        ranks=ranks,
        channels_last=run.execution.channels_last,
        micro_batch=run.execution.micro_batch,
    )
    losses = model.method.losses(LabeledClasses(vocabulary, dataset.seen)).to(run.device)
    check = partial(check_columns, method=model.method, vocabulary=vocabulary)
    whole_loss = BatchLoss(network, losses, weights, params.precision, check)
    batch_loss = ranks.share(whole_loss)
    watch = LossWatch(ranks, whole_loss.figures, lag=1 if run.device.type == "cuda" else 0, tell=run.tell)
    for iteration, parts in enumerate(feed, start):
        image_index = parts[0].image_index
        if isinstance(state.optimizer, SeparateMomentsAdam):
            state.optimizer.has_boxes = bool(dataset.has_boxes[image_index[0]])
        losses.progress = iteration / iterations
        share = sum(len(part.bags) for part in parts)
        with memory_explained(model.method, params, run.execution, share=share):
            figures = optimizer_step(batch_loss, state.optimizer, parts, ranks, gradient_clip=params.gradient_clip)
        state.schedule.step()
        seen = watch.add(iteration, [dataset.manifest.image_ids[index] for index in image_index], figures)
        last = iteration + 1 == iterations
        saves = (iteration + 1) % params.checkpoint_every == 0 and not last
        if saves or last:  # a step is checked before anything of it is saved
            seen += watch.drain()
        for seen_iteration, row in seen:
            log.append(seen_iteration, seen_iteration / per_epoch, row)
            place = {"iteration": seen_iteration, "epoch": seen_iteration / per_epoch}
            rate = learning_rate(state.schedule, seen_iteration)
            run.progress(row | place | {"learning_rate": rate, "waiting": feed.waiting_share()})
        if saves:
            if ranks.writes:
                log.flush()
            state.save(_resume_path(run), digest=run.digest, log=log)
    network.eval()
    return log


def batches_per_epoch(model: HoiModel, dataset: BagDataset, params: TrainParams) -> int:
    """Iterations of one epoch."""
    return _sampler(dataset, params, 0, separates=model.method.separates_supervision).batches_per_epoch


def loss_weights(names: tuple[str, ...], params: TrainParams) -> dict[str, float]:
    """Weight of each of a method's loss terms: that of `train.loss_weights`, or 1.

    Raises:
        ParamError: `train.loss_weights` names a term that the method does not have.
    """
    if unknown := [name for name in params.loss_weights if name not in names]:
        raise ParamError(
            f'train.loss_weights: no loss "{unknown[0]}"{did_you_mean(unknown[0], names)}; '
            f"the method has {', '.join(names) or 'none'}"
        )
    return {name: params.loss_weights.get(name, 1.0) for name in names}


def _start(
    model: HoiModel, dataset: BagDataset, run: TrainingRun, iterations: int
) -> tuple[TrainingState, TrainingLog]:
    """State and log before the next iteration, whose number is the length of the log."""
    params, ranks, moving_norms = run.params, run.ranks, not run.params.freeze_batch_norm
    network = model.network
    separates = model.method.separates_supervision
    smallest = _sampler(dataset, params, 0, separates=separates).smallest_batch
    check_shares(ranks, batch_size=smallest, moving_norms=moving_norms)
    check_micro_batch(run.execution.micro_batch, couples_images=model.method.couples_images, moving_norms=moving_norms)
    if not moving_norms:
        freeze_batch_norm(network)
    place_network(network, run.execution, run.device, moving_norms=moving_norms)
    optimizer = build_optimizer(network, params, separate_moments=separates)
    state = TrainingState(network, optimizer, build_schedule(optimizer, params, iterations), run.device, ranks)
    # Dropout draws from a stream of the rank's own.
    torch.manual_seed(torch_seed(params.seed, "training", *([ranks.rank] if ranks.rank else [])))
    log = TrainingLog.read(run.work / "log.csv", model.method.loss_names)
    log.go_back(state.load(_resume_path(run), digest=run.digest, log=log))
    if not log.rows:
        _calibrate(model, dataset, run)
    network.train()
    if not moving_norms:
        freeze_batch_norm(network)
    return state, log


def _resume_path(run: TrainingRun) -> Path:
    return run.work / "resume.safetensors"


def _sampler(dataset: BagDataset, params: TrainParams, start: int, *, separates: bool) -> EpochSampler:
    """Batches of all images, or, where the method separates them, each of images with boxes or of images without."""
    return EpochSampler(
        images=dataset.learned,
        batch_size=params.batch_size,
        seed=params.seed,
        start=start,
        epochs=params.epochs,
        kinds=dataset.has_boxes if separates else None,
    )


def _check_labels(dataset: BagDataset) -> None:
    """Refuse a split in which nothing is labeled: there would be nothing to learn from."""
    if len(dataset) and not len(dataset.labels.hoi_ids):
        what = "a label" if dataset.seen.all() else "a label of a seen class"
        raise DataError(f"training: none of {len(dataset)} images has {what}; label some and prepare again")


def _check_pairs(rule: PairRule, dataset: BagDataset) -> None:
    """Refuse a split in which no human has a partner."""
    if not rule.counts(dataset.proposals.object_ids, dataset.proposals.offsets).any():
        raise DataError(
            f"training: none of {len(dataset)} images has a human and an object to pair; "
            "lower detect.score_threshold or check the proposals file"
        )


def _tell_left_out(dataset: BagDataset, run: TrainingRun) -> None:
    """Say which proposals are not learned from, where the cap leaves some out."""
    cap, tell = dataset.max_proposals, run.tell if run.ranks.writes else None
    if tell is not None and isinstance(cap, RoleCap) and (line := cap.left_out(dataset.proposals, dataset.learned)):
        tell(line)


@torch.no_grad()
def _calibrate(model: HoiModel, dataset: BagDataset, run: TrainingRun) -> None:
    """Give the method the first batches before the first step; they are loaded only if it reads them."""
    model.network.eval()

    def first_batches() -> Iterator[BagBatch]:
        params = replace(run.params, epochs=max(1, run.params.epochs))  # without epochs as well
        batches = load_batches(
            dataset,
            _sampler(dataset, params, 0, separates=False),
            num_workers=run.params.num_workers,
            pin_memory=run.device.type == "cuda",
            generator=torch_generator(run.params.seed, "loader"),
        )
        for batch, _ in zip(batches, range(_CALIBRATION_BATCHES), strict=False):
            yield batch.to(run.device)

    model.method.calibrate(model.network, first_batches(), dataset.label_rate)
