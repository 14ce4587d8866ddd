"""Hook of mkdocs: pages and pictures that live elsewhere in the repository, and links as they are written for it.

In the repository, links lead from file to file (`../results/...`, `docs/...`). On the site, files of docs/ stand at the
top, those of `_MOUNTED` under the names given there. A link to any other file (code) becomes its text; one to a file
that does not exist ends the build.
"""

from __future__ import annotations

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
_MOUNTED = {
    "README.md": "start.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "benchmarks/README.md": "benchmarks.md",
    "benchmarks/SCALE.md": "scale.md",
    "benchmarks/growth.png": "growth.png",
    "results/toyworld/ablations.md": "all_rows.md",
    "results/toyworld/examples.jpg": "examples.jpg",
    "results/toyworld/figures/boxes.png": "boxes.png",
    "results/toyworld/figures/tsne_bank.png": "tsne_bank.png",
    "results/toyworld/figures/tsne_pairs.png": "tsne_pairs.png",
}
_LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?:|#)([^)#\s]+)(#[^)]*)?\)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what is mounted."""
    for path, name in _MOUNTED.items():
        files.append(File.generated(config, name, abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn the links of a page into those of the site.

    Raises:
        PluginError: a link leads to no file of the repository.
    """
    source = Path(str(page.file.abs_src_path))

    def linked(match: re.Match[str]) -> str:
        picture, text, path, anchor = match.groups(default="")
        target = (source.parent / path).resolve()
        if not target.exists():
            raise PluginError(f"{source.relative_to(ROOT)}: links to {path}, which does not exist")
        path = target.relative_to(ROOT).as_posix()
        name = _MOUNTED.get(path, path.removeprefix("docs/"))
        return f"{picture}[{text}]({name}{anchor})" if files.get_file_from_path(name) else text

    return _LINK.sub(linked, markdown)
