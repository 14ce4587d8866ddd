"""The report as one HTML page that needs nothing beside itself: pictures are data URIs, no script, no link outside.

Every name that comes from params.yaml or a vocabulary is escaped.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_STYLE = """
:root { color-scheme: light dark; --paper: #ffffff; --ink: #1c1c1e; --faint: #6b6b72; --rule: #e2e2e7; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #16161a; --ink: #ececf1; --faint: #a0a0aa; --rule: #34343c; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1400px; padding: 2rem 1.5rem 4rem; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, "Segoe UI", "Helvetica Neue", "DejaVu Sans", sans-serif; }
h1 { font-size: 1.7rem; margin: 0 0 .3rem; }
h2 { font-size: 1.25rem; margin: 2.6rem 0 .6rem; padding-top: 1rem; border-top: 1px solid var(--rule); }
p, figcaption { max-width: 75ch; }
.lead, figcaption, small, .note { color: var(--faint); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .45rem .9rem; text-align: right; border-bottom: 1px solid var(--rule); white-space: nowrap; }
th:first-child { text-align: left; padding-left: 0; white-space: normal; max-width: 60ch; }
thead th { color: var(--faint); font-weight: 600; }
th small { display: block; font-weight: 400; }
figure { margin: 1rem 0 0; }
figcaption { margin: .5rem 0 0; font-size: .92rem; }
img { display: block; max-width: 100%; height: auto; background: #ffffff; border-radius: 8px;
  border: 1px solid var(--rule); }
nav a { color: inherit; margin-right: 1.2rem; }
"""


@dataclass(frozen=True)
class Picture:
    """A picture with a heading, what it shows (for those who can't see it), and a caption.

    `png` is the file beside the page; `jpeg`, where given, is embedded in its place because it is smaller.
    """

    heading: str
    alt: str
    caption: str
    png: bytes
    jpeg: bytes | None = None


def render_page(title: str, lead: str, table: str, note: str, pictures: Sequence[Picture]) -> str:
    """Return the whole page.

    Args:
        table: HTML, as `table.headline_html` makes it; everything else is plain text.
    """
    links = "".join(f'<a href="#part-{part}">{escape(item.heading)}</a>' for part, item in enumerate(pictures, 1))
    figures = "".join(_figure(part, item) for part, item in enumerate(pictures, 1))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f'<h1>{escape(title)}</h1>\n<p class="lead">{escape(lead)}</p>\n<nav>{links}</nav>\n'
        f'<h2>Results</h2>\n<div class="wide">{table}</div>\n<p class="note">{escape(note)}</p>\n'
        f"{figures}</body>\n</html>\n"
    )


def _figure(part: int, picture: Picture) -> str:
    kind, data = ("png", picture.png) if picture.jpeg is None else ("jpeg", picture.jpeg)
    encoded = b64encode(data).decode("ascii")
    return (
        f'<h2 id="part-{part}">{escape(picture.heading)}</h2>\n<figure>'
        f'<img alt="{escape(picture.alt)}" src="data:image/{kind};base64,{encoded}">'
        f"<figcaption>{escape(picture.caption)}</figcaption></figure>\n"
    )
