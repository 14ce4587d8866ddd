"""The report as one HTML page that needs nothing beside itself.

Pictures are data URIs or SVG in the page's own colors, and a policy in the page forbids the browser to load anything or
to run any script but its own.

Markup, style and scripts lie in `assets/`: those of every page, and those of the gallery, which a split without boxes
does not have. Every name from params.yaml, a vocabulary or a file is escaped; the gallery's record is JSON in which no
character can end the script element.
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

_COLORS = {"paper": colors.PAPER, "ink": colors.INK, "faint": colors.FAINT} | colors.VERDICTS
_COLORS |= {f"{verdict}_text": color for verdict, color in colors.VERDICT_TEXTS.items()}
_PALETTE = dict(zip(colors.VARIANT_NAMES, colors.VARIANTS, strict=True))
_PALETTE |= {colors.ERROR_NAMES[kind]: color for kind, color in colors.ERRORS.items()}
_COLORS["palette"] = " ".join(f"--{name}: {color};" for name, color in _PALETTE.items())
_OF_PAGE = {colors.PAPER: "paper", colors.INK: "ink", colors.AXIS: "rule", colors.GRID: "grid"}
_OF_PAGE |= dict(zip(colors.VARIANTS, colors.VARIANT_NAMES, strict=True))
_SLOT = re.compile(r"\{\{(\w+)\}\}")


@dataclass(frozen=True)
class Section:
    """A part of the page with a heading and a link: `anchor` is its name in the address, `html` its content."""

    anchor: str
    heading: str
    html: str


def render_page(
    *,
    title: str,
    lead: str,
    sections: Sequence[Section],
    gallery_note: str = "",
    record: Mapping[str, Any] | None = None,
) -> str:
    """Return the whole page: sections in their order, those without content left out, and the gallery, if any.

    Args:
        title, lead, gallery_note: plain text.
        record: of the gallery, as `gallery.gallery_record` makes it.
    """
    script = _asset("page.js")
    sections = [section for section in sections if section.html]
    if record is not None:
        script += _asset("gallery.js")
        gallery = _filled("gallery.html", {"note": escape(gallery_note), "record": json_for_html(record)})
        sections.append(Section("gallery", "Gallery", gallery))
    slots = {
        "title": escape(title),
        "lead": escape(lead),
        "links": "".join(f'<a href="#{section.anchor}">{section.heading}</a>' for section in sections),
        "style": _filled("page.css", _COLORS),
        "sections": "".join(map(_section, sections)),
        "script": script,
        "script_digest": b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii"),
    }
    return _filled("page.html", slots)


def figure(heading: str, caption: str, picture: str) -> str:
    """A figure as HTML; `picture` is HTML, heading and caption are plain text."""
    return f"<figure><h3>{escape(heading)}</h3>{picture}<figcaption>{escape(caption)}</figcaption></figure>\n"


def embedded(data: bytes, kind: str, alt: str) -> str:
    """A picture's file in an HTML element; `kind` is png, jpeg or svg+xml."""
    return f'<img alt="{escape(alt)}" src="data:image/{kind};base64,{b64encode(data).decode("ascii")}">'


def inline_svg(svg: bytes, alt: str) -> str:
    """A plot of `plotting.svg_of` as a part of the page, in the page's colors, on light and dark paper."""
    text = re.sub(r"<defs>\s*<style.*?</defs>", "", svg.decode(), flags=re.DOTALL)  # it would hold for the whole page
    text = re.sub(r"#[0-9a-f]{6}\b", _page_color, text[text.index("<svg") :])
    label = f'<svg role="img" aria-label="{escape(alt)}"'
    return f'<div class="wide">{text.replace("<svg", label, 1)}</div>'


def json_for_html(data: Any) -> str:
    """Compact JSON for a script element: no "<", which alone could end it, nor "&" or line separators."""
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _asset(name: str) -> str:
    return resources.files("pipeline.report").joinpath("assets", name).read_text(encoding="utf-8")


def _filled(name: str, slots: Mapping[str, str]) -> str:
    """An asset with its slots filled; a slot inside a filled-in text stays as it is."""
    return _SLOT.sub(lambda slot: slots[slot[1]], _asset(name))


def _section(section: Section) -> str:
    return f'<section id="{section.anchor}">\n<h2>{section.heading}</h2>\n{section.html}\n</section>\n'


def _page_color(color: re.Match[str]) -> str:
    return f"var(--{_OF_PAGE[color[0]]})" if color[0] in _OF_PAGE else color[0]
