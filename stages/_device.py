"""Which device a stage runs on, and the settings that make its results repeatable there."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn

from pipeline.core.errors import ParamError

Module = TypeVar("Module", bound=nn.Module)


def open_device(name: str, *, local_rank: int | None = None) -> torch.device:
    """Return the device; `auto` takes the GPU where there is one.

    Args:
        local_rank: number of this process among several on this machine, each on its own GPU; None for one alone.

    Raises:
        ParamError: the device does not exist here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ParamError(f'--device: "{name}" is not a device; expected auto, cpu, cuda or cuda:N') from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise ParamError(f'--device: "{name}" asked for, but no CUDA device is visible; use --device cpu')
    if device.type == "cuda" and local_rank is not None:
        device = _of_rank(device, local_rank)
    torch.use_deterministic_algorithms(True, warn_only=device.type == "cuda")
    if device.type == "cuda":  # else every new tensor would be written once more; nothing here reads unwritten memory
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    return device


def place(module: Module, device: torch.device, *, channels_last: bool) -> Module:
    """Move a network to the device; on CUDA its convolutions' weights get the memory format that suits tensor cores."""
    placed = module.to(device)
    return placed.to(memory_format=torch.channels_last) if channels_last and device.type == "cuda" else placed


def _of_rank(device: torch.device, local_rank: int) -> torch.device:
    """The GPU of one of several ranks on this machine, made its current one."""
    found = torch.cuda.device_count()
    if device.index is not None:
        raise ParamError(f'--device: "{device}" is one GPU, and torchrun started several ranks; use --device cuda')
    if local_rank >= found:
        raise ParamError(
            f"--device: rank {local_rank} of this machine has no GPU, {found} are visible; use --nproc-per-node {found}"
        )
    device = torch.device("cuda", local_rank)
    torch.cuda.set_device(device)
    return device
