from __future__ import annotations

import base64
import hashlib
import json
import re
import tomllib

import pytest

from pipeline.report import colors
from pipeline.report.page import Section, embedded, figure, inline_svg, json_for_html, render_page
from tests.conftest import ROOT

NASTY = '</script><script>alert("x")</script> & </figure> {{script}} \u2028'
RECORD = {"first": 0, "hois": [NASTY], "images": [], "runs": []}


def page() -> str:
    sections = [
        Section("results", "Results", figure(NASTY, NASTY, embedded(b"\x89PNG", "png", NASTY))),
        Section("claims", "Claims", ""),  # nothing to show
    ]
    return render_page(title=NASTY, lead=NASTY, sections=sections, gallery_note=NASTY, record=RECORD)


def test_every_text_is_escaped():
    html = page()
    assert html.count("<script") == html.count("</script>") == 2 and "</figure> " not in html
    escaped = "&lt;/script&gt;&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt; &amp; &lt;/figure&gt; {{script}} \u2028"
    assert html.count(escaped) == 4 + 3  # the title stands twice


def test_record_comes_back_as_it_was():
    text = re.search(r'<script type="application/json" id="record">(.*?)</script>', page(), re.S)[1]
    assert json.loads(text) == RECORD
    assert not set("<>&\u2028") & set(json_for_html(NASTY))


def test_numbers_that_json_lacks_are_refused():
    with pytest.raises(ValueError, match="JSON"):
        json_for_html([float("nan")])


def test_nothing_outside_is_referred_to():
    html = page()
    addresses = set(re.findall(r"\bhttps?://[^\"'\s]*", html))
    assert addresses == {"http://www.w3.org/2000/svg"}  # a name, never loaded
    assert not re.search(r"@import|url\(|<link|<iframe|innerHTML|eval\(", html)
    sources = re.findall(r'\b(?:src|href)="([^"]*)"', html)
    assert sources and all(source.startswith(("data:image/", "#")) for source in sources)


def test_the_policy_admits_the_pages_own_script_alone():
    html = page()
    script = html.rsplit("<script>", 1)[1].split("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'\"" in html


def test_plots_take_the_pages_colors():
    svg = (
        '<?xml version="1.0"?><svg width="1"><defs>\n<style>*{fill: red}</style></defs>'
        f'<path style="fill: {colors.PAPER}; stroke: {colors.VARIANTS[1]}"/><use href="#m210967de64"/>'
        '<path style="fill: #123456"/></svg>'
    )
    assert inline_svg(svg.encode(), '"a" < b') == (
        '<div class="wide"><svg role="img" aria-label="&quot;a&quot; &lt; b" width="1">'
        '<path style="fill: var(--paper); stroke: var(--variant-1)"/><use href="#m210967de64"/>'
        '<path style="fill: #123456"/></svg></div>'
    )


def test_assets_are_installed_with_the_package():
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    names = {path.name for path in (ROOT / "pipeline/report/assets").iterdir()}
    assert names == {"page.html", "page.css", "page.js", "gallery.html", "gallery.js"}
    assert patterns["pipeline.report"] == ["assets/*"]


def test_sections_are_linked():
    html = page()
    targets = set(re.findall(r'href="#(\w+)"', html))
    assert targets == {"results", "gallery"} and all(f'id="{target}"' in html for target in targets)
