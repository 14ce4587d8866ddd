"""What the two recipe stages share: an option per setting, and the manifest beside the weights."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import click

from pipeline.core.errors import WeightsError
from pipeline.store.files import sha256_of, write_json
from pipeline.store.manifests import library_versions

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


def write_recipe_manifest(weights: Path, recipe: Any, quality: dict[str, float], architecture: dict[str, Any]) -> None:
    """Write `<weights>.json`: what the weights are, how they were made and how good they are; no clock times.

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
        "versions": library_versions(),
    }
    write_json(weights.with_suffix(".json"), manifest)
