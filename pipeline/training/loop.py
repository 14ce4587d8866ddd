"""The training loop: bags in, a trained network out, resumable at any checkpoint.

A run is a pure function of its params, its inputs and the seed: the order of images, flips and dropout all come from
seeded streams, and a resumed run gives the same bits as an undisturbed one on the same machine type.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from pipeline.core.bags import BagBatch
from pipeline.core.errors import DataError
from pipeline.core.params import TrainParams
from pipeline.core.seeding import torch_generator, torch_seed
from pipeline.data.bags import BagDataset, EpochSampler, flip_batch, load_batches
from pipeline.hoi.backbone import freeze_batch_norm
from pipeline.hoi.losses import LossTerms, WeakHoiLoss
from pipeline.hoi.network import WeakHoiNetwork
from pipeline.store.ragged import row_owner
from pipeline.training.calibration import calibrated_bias
from pipeline.training.log import TrainingLog
from pipeline.training.optimizer import build_optimizer, build_schedule
from pipeline.training.resume import load_resume_point, save_resume_point

_CALIBRATION_BATCHES = 8


@dataclass(frozen=True)
class TrainingRun:
    """What one run needs beside network and data.

    Attributes:
        params: the `train` section.
        digest: names params and inputs; a resume point of another run is not used.
        work: folder of the resume point and of the growing log.
        device: where to train.
        progress: told the losses after every iteration.
    """

    params: TrainParams
    digest: str
    work: Path
    device: torch.device
    progress: Callable[[dict[str, float]], None]


def train(network: WeakHoiNetwork, loss: WeakHoiLoss, dataset: BagDataset, run: TrainingRun) -> TrainingLog:
    """Train the network in place and return the log of all iterations.

    Raises:
        DataError: no training image has a pair, or the loss is not finite (names the images of the batch).
    """
    params = run.params
    _check_pairs(network, dataset)
    network.to(run.device)
    loss.to(run.device)
    per_epoch = EpochSampler(
        num_images=len(dataset), batch_size=params.batch_size, seed=params.seed, start=0, epochs=1
    ).batches_per_epoch
    iterations = per_epoch * params.epochs
    if params.freeze_batch_norm:
        freeze_batch_norm(network)
    optimizer = build_optimizer(network, params)
    schedule = build_schedule(optimizer, params, iterations)
    torch.manual_seed(torch_seed(params.seed, "training"))
    resume_path = run.work / "resume.safetensors"
    start = load_resume_point(resume_path, digest=run.digest, network=network, optimizer=optimizer, schedule=schedule)
    log = TrainingLog.resume(run.work / "log.csv", start)
    if start == 0 and network.params.hoi_recognition and network.params.calibrate_global_bias:
        _calibrate(network, dataset, run)
    network.train()
    if params.freeze_batch_norm:
        freeze_batch_norm(network)
    for iteration, batch in enumerate(_batches(dataset, run, start), start):
        terms = _step(network, loss, optimizer, _augment(batch, params, iteration), run)
        schedule.step()
        row = _check_finite(terms, batch, dataset)
        log.append(iteration, iteration / per_epoch, row)
        run.progress(row)
        if (iteration + 1) % params.checkpoint_every == 0 and iteration + 1 < iterations:
            log.flush()
            save_resume_point(
                resume_path,
                digest=run.digest,
                iteration=iteration + 1,
                network=network,
                optimizer=optimizer,
                schedule=schedule,
            )
    network.eval()
    return log


def _check_pairs(network: WeakHoiNetwork, dataset: BagDataset) -> None:
    """Refuse a split in which no human has a partner, or nothing is labelled: there would be nothing to learn from."""
    if len(dataset) and not dataset.labels.any():
        raise DataError(f"training: none of {len(dataset)} images has a label; label some and prepare again")
    proposals = dataset.proposals
    image, pairable = row_owner(proposals.offsets), network.pairable.cpu().numpy()
    humans = np.bincount(image[proposals.object_ids == network.human_object_id], minlength=len(dataset))
    partners = np.bincount(image[pairable[proposals.object_ids]], minlength=len(dataset))
    partners -= pairable[network.human_object_id]  # no human is its own partner
    if not ((humans > 0) & (partners > 0)).any():
        raise DataError(
            f"training: none of {len(dataset)} images has a human and an object to pair; "
            "lower detect.score_threshold or check the proposals file"
        )


def _batches(dataset: BagDataset, run: TrainingRun, start: int) -> Iterator[BagBatch]:
    params = run.params
    sampler = EpochSampler(
        num_images=len(dataset), batch_size=params.batch_size, seed=params.seed, start=start, epochs=params.epochs
    )
    return load_batches(
        dataset,
        sampler,
        num_workers=params.num_workers,
        pin_memory=run.device.type == "cuda",
        generator=torch_generator(params.seed, "loader"),
    )


def _augment(batch: BagBatch, params: TrainParams, iteration: int) -> BagBatch:
    if params.flip_probability == 0:
        return batch
    draws = torch.rand(len(batch), generator=torch_generator(params.seed, "flip", iteration))
    return flip_batch(batch, draws < params.flip_probability)


def _step(
    network: WeakHoiNetwork, loss: WeakHoiLoss, optimizer: torch.optim.Optimizer, batch: BagBatch, run: TrainingRun
) -> LossTerms:
    """One optimiser step."""
    batch = batch.to(run.device, non_blocking=True)
    with torch.autocast(run.device.type, torch.bfloat16, enabled=run.params.precision == "bfloat16"):
        output = network(batch)
    terms: LossTerms = loss(output, batch)
    optimizer.zero_grad(set_to_none=True)
    terms.total.backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), run.params.gradient_clip)
    optimizer.step()
    return terms


def _check_finite(terms: LossTerms, batch: BagBatch, dataset: BagDataset) -> dict[str, float]:
    named = {
        "loss": terms.total,
        "global": terms.global_loss,
        "pair": terms.pair_loss,
        "relatedness": terms.relatedness_loss,
        "regularization": terms.regularization_loss,
    }
    row = dict(zip(named, torch.stack(list(named.values())).tolist(), strict=True))
    if not torch.isfinite(terms.total):
        ids = ", ".join(dataset.manifest.image_ids[index] for index in batch.image_index.tolist())
        raise DataError(f"training: loss is {row} at images {ids}; lower train.learning_rate or check these images")
    return row


@torch.no_grad()
def _calibrate(network: WeakHoiNetwork, dataset: BagDataset, run: TrainingRun) -> None:
    """Set the bias of s_g from the first batches' scores and the training set's label rate."""
    network.eval()
    logits = []
    for batch, _ in zip(_batches(dataset, run, 0), range(_CALIBRATION_BATCHES), strict=False):
        logits.append(network.image_logits(network.backbone(batch.images.to(run.device)), len(batch)))
    rate = float(dataset.labels.mean())
    if 0 < rate < 1:
        network.global_bias.fill_(calibrated_bias(torch.cat(logits), rate))
