"""`code`: digests of the source files that commands can reach, for pipelines elsewhere that depend on them (study/).

They leave out what no result depends on: comments, docstrings, blank lines.
"""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.core.errors import ParamError, did_you_mean
from pipeline.store.files import write_json
from pipeline.store.manifests import relative
from pipeline.store.source_files import reachable_modules, source_files, statements_digest
from stages._command import anywhere_root_option, stage_command


@stage_command(
    "code", hidden=True, help="Write the digest of every source file that a command can reach, FOLDER/COMMAND.json."
)
@click.argument("commands", nargs=-1, required=True, metavar="COMMAND...")
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path), required=True, help="Where to write.")
@anywhere_root_option
def command(commands: tuple[str, ...], folder: Path, root: Path) -> None:
    """Write one JSON file per command; it changes only when a source file that the command reaches changes."""
    modules = source_files(root)
    own = {name.removeprefix("stages.") for name in modules if name.startswith("stages.") and "._" not in name}
    names = [name.replace("-", "_") for name in commands]
    if strange := sorted(set(names) - own):
        raise ParamError(f'no command "{strange[0]}" in {root / "stages"}{did_you_mean(strange[0], sorted(own))}')
    for name in names:
        files = sorted(modules[module] for module in reachable_modules({f"stages.{name}"}, modules))
        write_json(folder / f"{name}.json", {relative(path, root): statements_digest(path) for path in files})


if __name__ == "__main__":
    command()
