"""The device that work runs on, settings for repeatable results, and the memory format of networks and images."""

from __future__ import annotations

import resource
import sys
from typing import TypeVar

import torch
from torch import nn

from pipeline.core.errors import ParamError

Module = TypeVar("Module", bound=nn.Module)


def open_device(name: str, *, local_rank: int | None = None) -> torch.device:
    """Return the device; `auto` takes the GPU where there is one.

    Args:
        local_rank: number of this process among several on this machine, each with its own GPU; None for a single one.

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
    # It would fill every new tensor, which takes time; no memory is read here before it is written.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    return device


def _of_rank(device: torch.device, local_rank: int) -> torch.device:
    """Make the GPU of one of several ranks its current one."""
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


def peak_memory(device: torch.device) -> int:
    """Bytes that this process has held at once, at most: of tensors on a GPU, else of the whole process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def memory_format(device: torch.device, *, channels_last: bool) -> torch.memory_format:
    """Memory format of images and of convolutions' weights: channels last on CUDA if asked for, else contiguous."""
    return torch.channels_last if channels_last and device.type == "cuda" else torch.contiguous_format


def place(module: Module, device: torch.device, *, channels_last: bool) -> Module:
    """Move a network to the device, in place; its weights are rearranged only if `memory_format` is channels last."""
    placed, wanted = module.to(device), memory_format(device, channels_last=channels_last)
    return placed.to(memory_format=wanted) if wanted == torch.channels_last else placed
