"""The report as one HTML page that needs nothing beside itself.

Pictures are data URIs, and a policy in the page forbids the browser to load anything or to run any script but its own.

Markup, style and script lie in `assets/`. Every name from params.yaml, a vocabulary or a file is escaped;
the gallery's record is JSON in which no character can end the script element.
"""

from __future__ import annotations

import hashlib
import json
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources
from typing import Any

from pipeline.report import colors

_SCRIPTS = ("gallery_model.js", "gallery_view.js", "page.js")
_COLORS = {"paper": colors.PAPER, "ink": colors.INK, "faint": colors.FAINT} | colors.VERDICTS
_COLORS |= {f"{verdict}_text": color for verdict, color in colors.VERDICT_TEXTS.items()}
_SLOT = re.compile(r"\{\{(\w+)\}\}")


@dataclass(frozen=True)
class Picture:
    """A figure of the page: heading, alternative text, caption, and the file's bytes.

    `kind` is png, jpeg or svg+xml. A plot on white may be turned dark with the page, a photograph may not.
    """

    heading: str
    alt: str
    caption: str
    data: bytes
    kind: str = "png"
    is_plot: bool = True


def render_page(
    *,
    title: str,
    lead: str,
    table: str,
    note: str,
    ablations: str,
    gallery_note: str,
    record: Mapping[str, Any],
    pictures: Sequence[Picture],
) -> str:
    """Return the whole page.

    Args:
        table, ablations: HTML, as `pipeline.report.table` makes it; `ablations` may be empty. All else is plain text.
        record: as `gallery.gallery_record` makes it.
    """
    script = "\n".join(_asset(name) for name in _SCRIPTS)
    sections = {"results": "Results", "ablations": "Ablations", "gallery": "Gallery", "figures": "Figures"}
    if not ablations:
        del sections["ablations"]
    slots = {
        "title": escape(title),
        "lead": escape(lead),
        "links": "".join(f'<a href="#{part}">{name}</a>' for part, name in sections.items()),
        "style": _filled("page.css", _COLORS),
        "table": table,
        "note": escape(note),
        "ablations": _ablations_section(ablations) if ablations else "",
        "gallery_note": escape(gallery_note),
        "figures": "".join(map(_figure, pictures)),
        "record": json_for_html(record),
        "script": script,
        "script_digest": b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii"),
    }
    return _filled("page.html", slots)


def json_for_html(data: Any) -> str:
    """Compact JSON for a script element: no "<", which alone could end it, nor "&" or line separators."""
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _asset(name: str) -> str:
    return resources.files("pipeline.report").joinpath("assets", name).read_text(encoding="utf-8")


def _filled(name: str, slots: Mapping[str, str]) -> str:
    """An asset with its slots filled; a slot inside a filled-in text stays as it is."""
    return _SLOT.sub(lambda slot: slots[slot[1]], _asset(name))


def _ablations_section(table: str) -> str:
    return f'<section id="ablations">\n<h2>Ablations</h2>\n<div class="wide">{table}</div>\n</section>'


def _figure(picture: Picture) -> str:
    encoded = b64encode(picture.data).decode("ascii")
    kind = ' class="plot"' if picture.is_plot else ""
    return (
        f"<figure><h3>{escape(picture.heading)}</h3>"
        f'<img alt="{escape(picture.alt)}"{kind} src="data:image/{picture.kind};base64,{encoded}">'
        f"<figcaption>{escape(picture.caption)}</figcaption></figure>\n"
    )
