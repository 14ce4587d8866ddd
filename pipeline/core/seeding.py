"""Every random stream of the project, derived from one root seed and the stage's own name.

Two stages never share a stream, and how much one stage draws does not change the stream of another.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def seed_sequence(root_seed: int, *names: str | int) -> np.random.SeedSequence:
    """Return the seed sequence of a named stream, e.g. `seed_sequence(0, "toyworld", "train", 17)`."""
    digest = hashlib.sha256("/".join(str(name) for name in names).encode()).digest()
    words = np.frombuffer(digest[:16], dtype=np.uint32).tolist()
    return np.random.SeedSequence(root_seed, spawn_key=tuple(words))


def numpy_generator(root_seed: int, *names: str | int) -> np.random.Generator:
    """Return a numpy generator for a named stream."""
    return np.random.Generator(np.random.PCG64(seed_sequence(root_seed, *names)))


def torch_seed(root_seed: int, *names: str | int) -> int:
    """Return a 63-bit seed for `torch.manual_seed` of a named stream."""
    return int(seed_sequence(root_seed, *names).generate_state(1, np.uint64)[0] >> np.uint64(1))


def torch_generator(root_seed: int, *names: str | int, device: str = "cpu") -> torch.Generator:
    """Return a torch generator for a named stream."""
    import torch

    return torch.Generator(device=device).manual_seed(torch_seed(root_seed, *names))
