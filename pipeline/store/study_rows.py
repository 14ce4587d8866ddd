"""What a row of a study depends on, as digests: its params, the code that it runs, and the pipeline's artifacts.

One small file a row, which git holds: a change of it says what made the row stale. The code is that of the row's own
method and backbone, so that another method makes no row stale.
"""

from __future__ import annotations

from typing import Any

from pipeline.config.layout import Layout
from pipeline.config.params import load_params, load_variants
from pipeline.config.run import Run
from pipeline.config.sections import digest_of, plain, section_class
from pipeline.store.files import sha256_of
from pipeline.store.manifests import read_stage_manifest, relative
from pipeline.store.source_files import reachable_modules, source_files, statements_digest

COMMANDS = ("train", "infer", "score")
_READ = ("clip", "detect", "encode_prompts", "model", "train", "infer")  # sections; `evaluate` is that of each row
_CLASS_SPLITS = "pipeline/data/unseen"  # lists that a run with unseen classes reads
_MADE_BY = (("prepare", None), ("detect", "train"), ("detect", "test"), ("encode_prompts", None))


def row_inputs(layout: Layout, name: str) -> dict[str, Any]:
    """Digests of what the runs of a row are made from, by kind and name: JSON values.

    Raises:
        ParamError: params.yaml is faulty or has no such row.
        ArtifactError: the pipeline has not run.
    """
    params = load_params(layout.params, layout.dataset, Run(name))
    sections = {key: params[section_class(key)] for key in _READ}
    model = sections["model"] = sections["model"].used()
    scored = [name, *(row for row, entry in load_variants(layout.params).items() if entry.run == name)]
    artifacts = {
        "-".join(filter(None, (stage, of))): digest_of(
            read_stage_manifest(layout.stage_manifest(stage, of), remedy="run `dvc repro`").outputs
        )
        for stage, of in _MADE_BY
    }
    if model.clip is not None and (weights := layout.root / model.clip).is_file():  # the dataset's own made the bank
        artifacts["clip"] = sha256_of(weights)
    evaluate = section_class("evaluate")
    lists = sorted((layout.root / _CLASS_SPLITS).glob("*.json"))
    return {
        "class_splits": {path.name: sha256_of(path) for path in lists},
        "params": {key: digest_of(plain(section)) for key, section in sections.items()},
        "evaluate": {
            row: digest_of(plain(load_params(layout.params, layout.dataset, Run(row))[evaluate])) for row in scored
        },
        "code": {command: _code_of(layout, command, {model.method, model.backbone}) for command in COMMANDS},
        "artifacts": artifacts,
    }


def _code_of(layout: Layout, command: str, plugins: set[str]) -> str:
    """Digest of the source files that the command reaches with this method and backbone."""
    modules = source_files(layout.root)
    reached = reachable_modules({f"stages.{command}"}, modules, plugins)
    return digest_of({relative(modules[name], layout.root): statements_digest(modules[name]) for name in reached})
