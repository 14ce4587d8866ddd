"""Everything that the next iteration depends on, saved and restored exactly: parameters, buffers, optimizer, RNG.

The order of images and the flips are functions of seed and iteration, and need no saving.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import Adam
from torch.optim.lr_scheduler import LambdaLR

from pipeline.core.errors import ArtifactError
from pipeline.store.work_folder import load_tensors, save_tensors
from pipeline.training.distributed import Ranks
from pipeline.training.log import TrainingLog


@dataclass(frozen=True)
class TrainingState:
    """What moves while a run goes on.

    Attributes:
        device: where it is trained; a GPU has random numbers of its own.
        ranks: the processes that train; each has random numbers of its own.
    """

    network: nn.Module
    optimizer: Adam
    schedule: LambdaLR
    device: torch.device
    ranks: Ranks

    def save(self, path: Path, *, digest: str, log: TrainingLog) -> None:
        """Write a resume point from the rank that writes, with the random states of all; all ranks call it.

        Args:
            digest: names the run's params, inputs, code, number of ranks and kind of device.
            log: rows of the iterations so far, whose number is that of the next one to run.
        """
        states = {name: self.ranks.gather(state.to(self.device)) for name, state in self._random_states().items()}
        if not self.ranks.writes:
            return
        tensors: dict[str, Tensor] = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        for index, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{name}": torch.as_tensor(value) for name, value in state.items()}
        tensors |= {f"rng.{name}": state for name, state in states.items()}
        iteration = len(log.rows)
        values = {"digest": digest, "iteration": iteration, "log": log.digest(iteration)}
        values["schedule_epoch"] = self.schedule.last_epoch
        save_tensors(path, {name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}, values)

    def load(self, path: Path, *, digest: str, log: TrainingLog) -> int:
        """Restore a resume point of the same run in place and return the next iteration; 0 where there is none.

        Args:
            log: as it was kept; a resume point is used only if the log has the rows before it.

        Raises:
            ArtifactError: the ranks do not find the same resume point.
        """
        start = self._load(path, digest, log)
        starts = self.ranks.gather(torch.tensor(start, device=self.device)).tolist()
        if len(set(starts)) > 1:
            raise ArtifactError(
                f"{path}: the ranks would go on at iterations {starts}; all must see the same cache folder"
            )
        return start

    def _load(self, path: Path, digest: str, log: TrainingLog) -> int:
        found = load_tensors(path)
        if found is None or found[1]["digest"] != digest or found[1]["log"] != log.digest(found[1]["iteration"]):
            return 0
        tensors, values = found
        self.network.load_state_dict(_with_prefix(tensors, "network."))
        self._load_optimizer(_with_prefix(tensors, "optimizer."))
        self.schedule.last_epoch = values["schedule_epoch"]
        rates = zip(self.optimizer.param_groups, self.schedule.base_lrs, self.schedule.lr_lambdas, strict=True)
        for group, rate, factor in rates:
            group["lr"] = rate * factor(self.schedule.last_epoch)
        self._load_random_states(_with_prefix(tensors, "rng."))
        return int(values["iteration"])

    def _load_optimizer(self, tensors: dict[str, Tensor]) -> None:
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            index, key = name.split(".", 1)
            moments.setdefault(int(index), {})[key] = value
        layout = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": moments, "param_groups": layout})
        for parameter, state in self.optimizer.state.items():
            for name, value in state.items():
                if not name.endswith(
                    "step"
                ):  # moments in the parameter's memory format, which one kernel for all expects
                    state[name] = torch.empty_like(parameter).copy_(value)

    def _random_states(self) -> dict[str, Tensor]:
        states = {"cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            states["cuda"] = torch.cuda.get_rng_state(self.device)
        return states

    def _load_random_states(self, states: dict[str, Tensor]) -> None:
        """Those of this rank: the digest names how many ranks there are, and the kind of device."""
        for name, rows in states.items():
            state = rows[self.ranks.rank].clone()
            if name == "cpu":
                torch.set_rng_state(state)
            else:
                torch.cuda.set_rng_state(state, self.device)


def _with_prefix(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
