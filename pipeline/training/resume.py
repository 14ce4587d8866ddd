"""Everything that the next iteration depends on, saved and restored exactly: parameters, buffers, optimiser, RNG."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import AdamW
from torch.optim.lr_scheduler import LambdaLR

from pipeline.store.tensors_file import load_tensors, save_tensors


def save_resume_point(
    path: Path, *, digest: str, iteration: int, network: nn.Module, optimizer: AdamW, schedule: LambdaLR
) -> None:
    """Write a resume point; `iteration` is the next one to run, `digest` names the run's params and inputs."""
    tensors: dict[str, Tensor] = {f"network.{name}": value for name, value in network.state_dict().items()}
    for index, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": torch.as_tensor(value) for name, value in state.items()}
    tensors["rng"] = torch.get_rng_state()
    values = {"digest": digest, "iteration": iteration, "schedule_epoch": schedule.last_epoch}
    save_tensors(path, {name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}, values)


def load_resume_point(path: Path, *, digest: str, network: nn.Module, optimizer: AdamW, schedule: LambdaLR) -> int:
    """Restore a resume point of the same run in place and return the next iteration; 0 where there is none."""
    found = load_tensors(path)
    if found is None or found[1]["digest"] != digest:
        return 0
    tensors, values = found
    network.load_state_dict(_with_prefix(tensors, "network."))
    layout = optimizer.state_dict()
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in _with_prefix(tensors, "optimizer.").items():
        index, key = name.split(".", 1)
        moments.setdefault(int(index), {})[key] = value
    optimizer.load_state_dict({"state": moments, "param_groups": layout["param_groups"]})
    schedule.last_epoch = values["schedule_epoch"]
    for group, rate, factor in zip(optimizer.param_groups, schedule.base_lrs, schedule.lr_lambdas, strict=True):
        group["lr"] = rate * factor(schedule.last_epoch)
    torch.set_rng_state(tensors["rng"])
    return int(values["iteration"])


def _with_prefix(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
