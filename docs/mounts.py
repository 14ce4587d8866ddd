"""Hook of mkdocs: pages and pictures that live elsewhere in the repository, and links as they are written for it.

In the repository, links lead from file to file (`../results/...`, `docs/...`). On the site, files of docs/ stand at the
top, those of `_MOUNTED` at their own path. A link to any other file (code) becomes its text; one to a file that does
not exist ends the build.
"""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
_MOUNTED = (
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "benchmarks/README.md",
    "benchmarks/SCALE.md",
    "results/toyworld/ablations.md",
    "results/toyworld/examples.jpg",
    "results/toyworld/figures/boxes.png",
    "results/toyworld/figures/tsne_bank.png",
    "results/toyworld/figures/tsne_pairs.png",
)
_LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?:|#)([^)#\s]+)(#[^)]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what is mounted."""
    for name in _MOUNTED:
        files.append(File.generated(config, name, abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn the links of a page into those of the site.

    Raises:
        PluginError: a link leads to no file of the repository.
    """
    source = Path(str(page.file.abs_src_path))
    here = PurePosixPath(page.file.src_uri).parent

    def linked(match: re.Match[str]) -> str:
        picture, text, path, anchor = match.groups(default="")
        target = (source.parent / path).resolve()
        if not target.exists():
            raise PluginError(f"{source.relative_to(ROOT)}: links to {path}, which does not exist")
        name = target.relative_to(ROOT).as_posix().removeprefix("docs/")
        if files.get_file_from_path(name) is None:
            return text
        return f"{picture}[{text}]({os.path.relpath(name, here)}{anchor})"

    return _LINK.sub(linked, markdown)
