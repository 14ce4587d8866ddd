"""Whether runs were made with the present params: the sections in their manifests against params.yaml.

DVC does not notice if params.yaml is edited while a stage runs: it records the file when the stage ends.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pipeline.config.params import Variant, load_params, load_variants
from pipeline.config.run import Run
from pipeline.config.sections import SECTIONS, plain, section_class
from pipeline.core.errors import ArtifactError, ParamError
from pipeline.core.types import StageManifest
from pipeline.store.chain import RecordedRun
from pipeline.store.manifests import command_of

_OF_MANY = ("report", "tsne")  # their `variant` lists several


def refuse_other_params(runs: Iterable[RecordedRun], path: Path) -> None:
    """Refuse runs that were made with other params than those of a params file.

    Raises:
        ArtifactError: names the first such run, and what differs.
    """
    for run in runs:
        if line := other_params(run, path):
            raise ArtifactError(line)


def other_params(run: RecordedRun, path: Path) -> str | None:
    """One line on how a params file differs from the sections that a run recorded; None if it does not."""
    if not (changed := _changes(run.manifest, path)):
        return None
    return f'{run.record}: made with {"; ".join(changed)}; run "{command_of(run.manifest)}", or put the value back'


def _changes(manifest: StageManifest, path: Path) -> list[str]:
    try:
        now = json.loads(json.dumps(_sections_now(manifest, path)))
    except ParamError as error:  # the dataset or variant was removed
        return [f"params that are not there now ({error})"]
    then = {name: _with_defaults(name, section) for name, section in manifest.params.items()}
    return [
        f"{section}.{key}={_spelled(recorded, key)}, {path.name} says {_spelled(now.get(section), key)}"
        for section, recorded in then.items()
        for key in dict.fromkeys([*_keys(recorded), *_keys(now.get(section))])
        if _spelled(recorded, key) != _spelled(now.get(section), key)
    ]


def _with_defaults(name: str, recorded: Any) -> Any:
    """A recorded section; a key that is newer than the record had its default then, as what it sets was not there."""
    if name not in SECTIONS or not isinstance(recorded, dict):
        return recorded
    items = [item for item in dataclasses.fields(section_class(name)) if item.name not in recorded]
    defaults = {item.name: item.default for item in items if item.default is not dataclasses.MISSING}
    made = {item.name: item.default_factory() for item in items if item.default_factory is not dataclasses.MISSING}
    return recorded | defaults | made


def shown_rows(names: Iterable[str], variants: Mapping[str, Variant]) -> dict[str, Variant]:
    """Rows of params.yaml as a report shows them, by run: without what only training reads."""
    return {name: dataclasses.replace(variants[Run.parse(name).variant], model={}, train={}) for name in names}


def _sections_now(manifest: StageManifest, path: Path) -> dict[str, Any]:
    arguments = manifest.arguments
    variant = None if manifest.stage in _OF_MANY else arguments.get("variant")
    params = load_params(path, arguments.get("dataset", ""), Run.parse(variant) if variant else None)
    now = {name: plain(section) for name, section in params.sections.items()}
    now["model"] = plain(params.sections["model"].used())
    if manifest.stage == "train" and arguments.get("seed", "").isdecimal():
        now["train"]["seed"] = int(arguments["seed"])
    if "variants" in manifest.params:
        rows = load_variants(path)
        names = [name for name in _keys(manifest.params["variants"]) if Run.parse(name).variant in rows]
        now["variants"] = {name: dataclasses.asdict(row) for name, row in shown_rows(names, rows).items()}
    return now


def _keys(section: Any) -> list[str]:
    return list(section) if isinstance(section, dict) else []


def _spelled(section: Any, key: str) -> str:
    """A value for a message, the same for equal ones."""
    if not isinstance(section, dict) or key not in section:
        return "nothing"
    return json.dumps(section[key], sort_keys=True)
