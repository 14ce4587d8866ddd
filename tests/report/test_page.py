from __future__ import annotations

import base64
import re

from pipeline.report.page import Picture, render_page

NASTY = '<script>alert("x")</script> & </figure>'


def page(**changes) -> str:
    values = {"heading": NASTY, "alt": NASTY, "caption": NASTY, "png": b"\x89PNG"} | changes
    return render_page(NASTY, NASTY, "<table></table>", NASTY, [Picture(**values), Picture(**values)])


def test_every_text_is_escaped():
    html = page()
    assert "<script" not in html and "</figure> " not in html
    assert html.count("&lt;script&gt;alert(&quot;x&quot;)&lt;/script&gt; &amp;") == 4 + 2 * 4


def test_nothing_outside_is_referred_to():
    html = page()
    assert not re.search(r"https?:|//|@import|url\(|<link|<script|<iframe", html)
    sources = re.findall(r'\b(?:src|href)="([^"]*)"', html)
    assert len(sources) == 4
    assert all(source.startswith(("data:image/", "#part-")) for source in sources)


def test_pictures_are_embedded_the_smaller_one_where_there_is_one():
    assert f'src="data:image/png;base64,{base64.b64encode(b"large").decode()}"' in page(png=b"large")
    small = page(png=b"large", jpeg=b"small")
    assert f'src="data:image/jpeg;base64,{base64.b64encode(b"small").decode()}"' in small
    assert "image/png" not in small
