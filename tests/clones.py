"""Copies of this repository in scratch folders, and commands in processes of their own, as a user gives them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests import warm_python
from tests.conftest import ROOT
from tests.roots import edit_params


def environment(folder: Path, *, warm: bool = True) -> dict[str, str]:
    """The code of that folder, and this interpreter's programs, `warm` ones or such as a killed group takes along."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    path = f"{warm_python.folder()}:{path}" if warm else path
    defaults = {"OMP_NUM_THREADS": "2"}
    return defaults | os.environ | {"PATH": path, "PYTHONPATH": str(folder), "DVC_NO_ANALYTICS": "1"}


def run_in(folder: Path, *call: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    env = environment(folder)
    call = (shutil.which(call[0], path=env["PATH"]) or call[0], *call[1:])
    done = subprocess.run(call, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, f"{call}: {done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done


def copy_repository(folder: Path) -> None:
    """Copy the files that git tracks, as they are in the working tree."""
    names = run_in(ROOT, "git", "ls-files", "-z").stdout.split("\0")
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    run_in(folder, "git", "init", "-q")


def set_params(folder: Path, dataset: str, **sections: dict) -> None:
    """Set values of a dataset's sections in params.yaml."""

    def edit(document):
        for name, values in sections.items():
            document[dataset][name] |= values

    edit_params(folder, edit)


def copy_small_toyworld(folder: Path, *run_variants: str, num_test: int) -> None:
    """Copy the repository with a toyworld of a few images, on which `run_variants` train for one epoch."""
    copy_repository(folder)
    edit_params(folder, lambda document: document.update(run_variants=list(run_variants)))
    set_params(
        folder,
        "toyworld",
        prepare={"num_images": {"train": 12, "val": 1, "test": num_test}},
        train={"epochs": 1, "batch_size": 4},
        report={"num_images": 2, "gallery_images": 2},
    )


def stages_run(done: subprocess.CompletedProcess[str]) -> set[str]:
    """Stages that `dvc repro` ran, as its output tells."""
    marker = "Running stage '"
    return {line.split(marker)[1].split("'")[0] for line in done.stdout.splitlines() if marker in line}
