"""Shared by the two recipe commands: options, the check of the output, and the manifest beside the weights."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import click
from safetensors import SafetensorError, safe_open

from pipeline.core.errors import ParamError, WeightsError
from pipeline.store.files import sha256_of, write_json
from pipeline.store.manifests import library_versions
from pipeline.store.targets import check_json_target, check_replaceable

_KEYS = ("weights", "sha256", "quality", "architecture", "recipe")  # in every manifest that this module writes
SIZE_LIMIT = 3_000_000  # bytes of shipped weights, so that a clone stays small


def recipe_options(recipe_class: type[Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command one option per field of a recipe dataclass, and hand it the recipe as `recipe`."""
    names = [(item.name, item.default) for item in fields(recipe_class)]

    def declare(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def with_recipe(**options: Any) -> Any:
            recipe = recipe_class(**{name: options.pop(name) for name, _ in names})
            return function(recipe=recipe, **options)

        command: Callable[..., Any] = with_recipe
        for name, default in reversed(names):
            flag = f"--{name.replace('_', '-')}"
            command = click.option(flag, type=type(default), default=default, show_default=True)(command)
        return command

    return declare


def check_output(weights: Path, training_set: str) -> None:
    """Check before training that --output is free, or holds earlier weights of this recipe and their manifest.

    Args:
        training_set: name of the training set in the metadata of this recipe's weights.

    Raises:
        DataError, ArtifactError: as `check_replaceable`.
        ParamError: the file name does not end with .safetensors.
    """
    if weights.suffix != ".safetensors":
        raise ParamError(f"--output is {weights}; expected a file name that ends with .safetensors")
    check_replaceable(
        weights, lambda path: _training_set(path) == training_set, what="weights of this recipe", option="--output"
    )
    check_json_target(weights.with_suffix(".json"), _KEYS, what="manifest of such weights", option="--output")


def _training_set(path: Path) -> str | None:
    try:
        with safe_open(path, framework="np") as file:
            return (file.metadata() or {}).get("training_set")
    except (OSError, SafetensorError):  # no weights
        return None


def write_recipe_manifest(
    weights: Path, recipe: Any, quality: dict[str, float], architecture: dict[str, Any], **provenance: Any
) -> None:
    """Write `<weights>.json`: architecture, recipe, quality, versions and what else is given; no clock times.

    Raises:
        WeightsError: the weights are too large to be shipped.
    """
    size = weights.stat().st_size
    if size >= SIZE_LIMIT:
        raise WeightsError(f"{weights}: {size} bytes, expected fewer than {SIZE_LIMIT}; make the model narrower")
    manifest = {
        "weights": weights.name,
        "sha256": sha256_of(weights),
        "bytes": size,
        "seed": recipe.seed,
        "quality": quality,
        "architecture": architecture,
        "recipe": asdict(recipe),
        **provenance,
        "versions": library_versions(),
    }
    write_json(weights.with_suffix(".json"), manifest)
