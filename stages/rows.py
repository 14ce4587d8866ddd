"""`rows`: what every row of a study depends on, as one small file of digests each (study/)."""

from __future__ import annotations

from pathlib import Path

import click

from pipeline.config.layout import Layout
from pipeline.config.params import load_variants
from pipeline.store.files import write_json
from pipeline.store.study_rows import row_inputs
from stages._command import dataset_option, root_option, stage_command


@stage_command(
    "rows", hidden=True, help="Write the digests of what each row of params.yaml: variants depends on, FOLDER/ROW.json."
)
@dataset_option
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path), required=True, help="Where to write.")
@root_option
def command(dataset: str, folder: Path, root: Path) -> None:
    """Write one JSON file for every row with runs of its own; it changes when the row's params, code or inputs do."""
    layout = Layout(root, dataset)
    for name, row in load_variants(layout.params).items():
        if row.run is None:
            write_json(folder / f"{name}.json", row_inputs(layout, name))


if __name__ == "__main__":
    command()
