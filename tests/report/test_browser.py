"""The page in a real browser: it loads, filters, re-thresholds, obeys the keyboard, and logs no error.

Clicks, keys and choices have been handled when their call returns. What the browser does in a task of its own is waited
for (`eventually`): hover, scrolling, hashchange, the observer of sizes, loaded images, its log. The address is asked of
the page, which knows it at once; the driver's `current_url` follows later.
"""

from __future__ import annotations

import base64
import io
import re
import shutil
from collections.abc import Callable
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image, ImageColor
from selenium import webdriver
from selenium.common.exceptions import TimeoutException
from selenium.webdriver import ActionChains
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.actions.action_builder import ActionBuilder
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

from pipeline.report import figures
from pipeline.report.class_table import class_table_html
from pipeline.report.colors import VARIANTS
from pipeline.report.page import Section, figure, inline_svg, render_page
from pipeline.report.results import PerClass
from pipeline.report.table import html_table
from stages.report import command
from tests.report.worlds import write_world

pytestmark = pytest.mark.slow

FLAGS = ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--window-size=1300,1000")
FLAGS += ("--force-prefers-reduced-motion",)  # nothing scrolls slowly
NASTY = "</script><b>bold</b>"
HUMAN, BICYCLE, OTHER, CUP = [5, 5, 30, 70], [20, 40, 60, 75], [70, 5, 95, 70], [60, 10, 70, 20]
RIGHT, DUPLICATE, WRONG_VERB = 0, 1, 2


def picture(kind: str) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (100, 80), (90, 140, 200)).save(stream, format=kind)
    return stream.getvalue()


def pair(human, partner, *rows):
    return {"boxes": [human, partner], "rows": [list(row) for row in rows]}


def image(name, *truth):
    source = "data:image/jpeg;base64," + base64.b64encode(picture("JPEG")).decode()
    return {"id": name, "width": 100, "height": 80, "src": source, "truth": [list(row) for row in truth]}


RECORD = {
    "first": 1,
    "errors": ["right", "duplicate", "wrong verb"],
    "hois": ["ride bicycle", "hold cup", NASTY],
    "images": [image("a", [0, HUMAN, BICYCLE], [1, OTHER, CUP]), image("b"), image(NASTY, [2, HUMAN, CUP])],
    "runs": [
        {
            "name": "baseline",
            "factors": ["pairwise", "detector"],
            "floor": 0.01,
            "threshold": 0.3,
            "found": [
                [
                    pair(HUMAN, BICYCLE, [0, 0.9, [0.95, 0.947], RIGHT, 0]),
                    pair(OTHER, CUP, [1, 0.2, [0.25, 0.8], RIGHT, 1]),
                ],
                [pair(OTHER, BICYCLE, [0, 0.5, [0.6, 0.833], WRONG_VERB, -1])],
                [],
            ],
        },
        {
            "name": NASTY,
            "factors": ["pairwise", "detector", "global", "relatedness"],
            "floor": 0.01,
            "threshold": 0.3,
            "found": [
                [
                    pair(HUMAN, BICYCLE, [0, 0.8, [0.91, 0.925, 0.96, 0.99], RIGHT, 0]),
                    pair(OTHER, BICYCLE, [0, 0.4, [0.5, 0.926, 0.96, 0.9], DUPLICATE, 0]),
                    pair(OTHER, CUP, [1, 0.1, [0.5, 0.8, 0.5, 0.5], RIGHT, 1]),
                ],
                [pair(OTHER, BICYCLE, [0, 0.05, [0.1, 0.926, 0.6, 0.9], WRONG_VERB, -1])],
                [pair(HUMAN, CUP, [2, 0.6, [0.9, 0.926, 0.8, 0.9], RIGHT, 0])],
            ],
        },
    ],
}


def classes(*ap: float) -> PerClass:
    numbers = np.arange(3.0)
    errors = {"wrong_verb": np.array([4.0, 0, 1])}
    return PerClass(("ride bicycle", "hold cup", NASTY), np.array(ap), 10 - numbers, 700 + 400 * numbers, {}, errors)


PER_CLASS = {"baseline": classes(50, 60.25, np.nan), NASTY: classes(70, 55, np.nan)}


def whole_page(record: dict) -> str:
    """A page of a class table, folded tables, a figure and a gallery."""
    svg = figures.training_frequency(PER_CLASS, NASTY, "baseline")
    wide = html_table([f"a long title {column}" for column in range(12)], [("row", "", ["1.00"] * 11)])
    sections = [
        Section("classes", "Classes", class_table_html(PER_CLASS, NASTY, "baseline")),
        Section("ablations", "Ablations", wide),
        Section("figures", "Figures", figure("a plot", "caption", inline_svg(svg, "a plot") * 3)),
    ]
    return render_page(title=NASTY, lead="", sections=sections, gallery_note="", record=record)


@pytest.fixture(scope="module")
def html() -> str:
    return whole_page(RECORD)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """Debian's headless Chromium with a fresh profile, driven through selenium; nothing is downloaded."""
    binary, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if binary is None or driver is None:
        pytest.skip("no chromium and chromedriver on PATH: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    started = webdriver.Chrome(service=Service(driver), options=options)
    yield started
    started.quit()


@pytest.fixture
def page(browser, html, tmp_path):
    path = tmp_path / "index.html"
    path.write_text(html, encoding="utf-8")
    browser.get(path.as_uri())
    pointer = ActionBuilder(browser)
    pointer.pointer_action.move_to_location(0, 0)  # that of the last test may rest on a card
    pointer.perform()
    yield browser
    assert browser.get_log("browser") == []


def eventually(page, read: Callable[[], Any], expected: Any) -> None:
    """Assert that `read` comes to return this, within seconds."""
    with suppress(TimeoutException):
        WebDriverWait(page, 20).until(lambda _: read() == expected)
    assert read() == expected


def address(page) -> str:
    return page.execute_script("return location.href")


def status(page) -> str:
    return page.find_element(By.ID, "status").text.partition("; precision")[0]


def shown(page) -> list[str]:
    return [card.get_attribute("aria-label") for card in page.find_elements(By.CSS_SELECTOR, "#cards .card")]


def slide(page, place: int) -> None:
    """Move the slider from the end that is nearer, by its own keys."""
    slider = page.find_element(By.ID, "threshold")
    slider.send_keys(Keys.HOME if place == 0 else Keys.END)
    assert int(slider.get_property("value")) == place


def numbers(shape, *names: str) -> list[float]:
    return [float(shape.get_attribute(name)) for name in names]


def highlighted(page) -> list[tuple[str, list[float]]]:
    """Shapes of the highlighted pairs: class and corners of the rectangles."""
    boxes = page.find_elements(By.CSS_SELECTOR, ".pair.on rect:not(.halo)")
    return [(box.get_attribute("class"), numbers(box, "x", "y", "width", "height")) for box in boxes]


def readout(page, card: str = "#cards .card") -> str:
    return " ".join(page.find_element(By.CSS_SELECTOR, f"{card} .readout").text.split())


def test_it_starts_with_the_named_variant_at_its_own_threshold(page):
    assert status(page) == "2 of 3 images: 2 right, 1 wrong, 1 missed"
    assert shown(page) == ["a", NASTY]
    assert page.find_element(By.ID, "threshold-text").text == "0.30"
    assert page.find_element(By.TAG_NAME, "h1").text == NASTY
    assert all(element.text != "bold" for element in page.find_elements(By.TAG_NAME, "b"))
    sizes = page.execute_script("return [...document.images].map((one) => one.naturalWidth)")
    assert sizes == [100] * 2  # of the cards


def test_slider_moves_the_threshold_and_what_was_found_above_it_stays(page):
    slide(page, 0)
    assert status(page) == "3 of 3 images: 3 right, 2 wrong, 0 missed"
    slide(page, 1000)
    assert status(page) == "2 of 3 images: 0 right, 0 wrong, 3 missed"
    page.find_element(By.ID, "break-even").click()
    assert status(page) == "2 of 3 images: 2 right, 1 wrong, 1 missed"
    slider = page.find_element(By.ID, "threshold")
    slider.send_keys(Keys.ARROW_LEFT)
    assert 0.28 < float(slider.get_attribute("aria-valuetext")) < 0.31


def test_each_variant_keeps_its_threshold(page):
    slide(page, 1000)
    page.find_element(By.CSS_SELECTOR, "#variants input[value=baseline]").click()
    assert status(page) == "3 of 3 images: 1 right, 1 wrong, 2 missed"
    assert readout(page) == "✓ ride bicycle 0.90 pairwise 0.95 detector 0.95"  # the factors of this run alone
    page.find_elements(By.CSS_SELECTOR, "#variants input")[1].click()
    assert status(page) == "2 of 3 images: 0 right, 0 wrong, 3 missed"


def test_filter_by_class_and_outcome(page):
    select = Select(page.find_element(By.ID, "hoi"))
    assert [option.text for option in select.options] == ["all classes", NASTY, "hold cup", "ride bicycle"]
    select.select_by_visible_text("ride bicycle")
    assert status(page) == "1 of 3 images: 1 right, 1 wrong, 0 missed"
    select.select_by_visible_text("all classes")
    for outcome in ("right", "wrong"):
        page.find_element(By.CSS_SELECTOR, f"#outcomes input[name={outcome}]").click()
    assert shown(page) == ["a"] and status(page) == "1 of 3 images: 1 missed; hidden: 2 right, 1 wrong"
    (entry,) = page.find_elements(By.CSS_SELECTOR, "#cards .entry")
    assert entry.get_attribute("aria-label") == "Missed: hold cup"
    assert "no detection" in readout(page)


def test_counts_agree_with_the_empty_state(page):
    """Nothing is shown where nothing is left, and what the filters hide is counted as hidden."""
    Select(page.find_element(By.ID, "hoi")).select_by_visible_text("hold cup")
    page.find_element(By.CSS_SELECTOR, "#outcomes input[name=missed]").click()
    assert shown(page) == []
    assert status(page).startswith("Nothing to show, 0 of 3 images; hidden: 1 missed.")
    page.find_element(By.CSS_SELECTOR, "#outcomes input[name=missed]").click()
    slide(page, 0)
    page.find_element(By.CSS_SELECTOR, "#outcomes input[name=right]").click()
    assert status(page).startswith("Nothing to show, 0 of 3 images; hidden: 1 right.")


def test_sorting(page):
    slide(page, 0)
    select, orders = Select(page.find_element(By.ID, "sort")), {}
    for name in ("highest", "lowest", "mistakes", ""):
        select.select_by_value(name)
        orders[name] = shown(page)
    assert orders == {
        "highest": ["a", NASTY, "b"],
        "lowest": ["b", "a", NASTY],
        "mistakes": ["a", "b", NASTY],
        "": ["a", "b", NASTY],
    }


def test_pointing_at_a_detection_highlights_its_pair_and_shows_its_scores(page):
    eventually(page, lambda: highlighted(page), [])
    _, second, missed = page.find_elements(By.CSS_SELECTOR, ".card:first-child .entry")
    assert " ".join(second.text.split()) == "✗ ride bicycle duplicate 0.40"
    ActionChains(page).move_to_element(second).perform()
    eventually(page, lambda: highlighted(page), [("object", [20, 40, 40, 35]), ("human", [70, 5, 25, 65])])
    line = page.find_element(By.CSS_SELECTOR, ".pair.on line:not(.halo)")
    assert numbers(line, "x1", "y1", "x2", "y2") == [82.5, 37.5, 40, 57.5]
    assert readout(page) == "✗ ride bicycle 0.40 pairwise 0.50 detector 0.93 global 0.96 relatedness 0.90"
    ActionChains(page).move_to_element(missed).perform()
    eventually(page, lambda: highlighted(page), [("object", [60, 10, 10, 10]), ("human", [70, 5, 25, 65])])
    ActionChains(page).move_to_element(page.find_element(By.ID, "status")).perform()
    eventually(page, lambda: highlighted(page), [])
    box = page.find_element(By.CSS_SELECTOR, '.card:first-child .pair[data-pair="0d0"] rect.human:not(.halo)')
    ActionChains(page).move_to_element_with_offset(box, 0, -10).perform()
    eventually(page, lambda: readout(page)[:19], "✓ ride bicycle 0.80")


def test_keyboard_alone(page):
    def focused():
        return page.switch_to.active_element.get_attribute("aria-label")

    def press(key):
        page.switch_to.active_element.send_keys(key)

    page.find_element(By.ID, "break-even").send_keys(Keys.TAB)
    assert focused().startswith(
        "Right: ride bicycle, score 0.80, pairwise 0.91, detector 0.93, global 0.96, relatedness 0.99"
    )
    assert len(highlighted(page)) == 2
    outline = page.execute_script("return getComputedStyle(document.activeElement).outlineWidth")
    assert float(outline.removesuffix("px")) >= 2  # a visible focus
    press(Keys.ARROW_DOWN)
    assert focused().startswith("Wrong: ride bicycle, duplicate, score 0.40")
    press(Keys.ARROW_RIGHT)
    assert focused().startswith(f"Right: {NASTY}")
    press(Keys.ARROW_LEFT)
    press(Keys.ARROW_UP)
    assert focused().startswith("Right: ride bicycle")  # at the end of the list nothing moves
    press(Keys.ENTER)
    dialog = page.find_element(By.ID, "detail")
    assert dialog.is_displayed() and "0.91" in readout(page, "#detail")
    press(Keys.ARROW_RIGHT)
    assert dialog.find_element(By.TAG_NAME, "h3").text == NASTY
    press(Keys.ARROW_LEFT)
    press(Keys.ARROW_DOWN)
    assert focused().startswith("Wrong: ride bicycle")
    press(Keys.ESCAPE)
    eventually(page, lambda: focused().split(",")[0], "Wrong: ride bicycle")  # the page is told of the closing
    assert not dialog.is_displayed()


def background(page) -> tuple[int, ...]:
    color = page.execute_script("return getComputedStyle(document.body).backgroundColor")
    return tuple(map(int, re.findall(r"\d+", color)[:3]))


def test_light_and_dark(page):
    def system(scheme):
        media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", media)

    toggle = page.find_element(By.ID, "theme")
    seen = []
    for scheme in ("light", "dark"):
        system(scheme)
        for _ in range(3):  # system, light, dark
            seen.append(min(background(page)) > 200)
            toggle.click()
    system("light")
    assert seen == [True, True, False, False, True, False]


def choose(page, name: str, text: str) -> None:
    Select(page.find_element(By.ID, name)).select_by_visible_text(text)


def marks(page) -> list[str]:
    """Marks of entries as fixed or broken, with their class and pane."""
    script = """return [...document.querySelectorAll(".pane")].flatMap((pane, place) =>
        [...pane.querySelectorAll(".entry")].filter((entry) => /fixed|broken/.test(entry.textContent)).map((entry) =>
        `${place} ${entry.querySelector(".name").textContent} ${entry.querySelector(".kind").textContent}`))"""
    return page.execute_script(script)


def test_two_variants_side_by_side_fixed_and_broken(page):
    """At break-even the variant finds the pair of the last image, which the baseline misses."""
    assert not page.find_element(By.ID, "change").is_displayed()
    choose(page, "beside", "baseline")
    assert shown(page) == ["a", "b", NASTY] and status(page).endswith("1 fixed, 0 broken beside baseline")
    titles = [title.text for title in page.find_elements(By.CSS_SELECTOR, ".card:first-child h4")]
    assert titles == ["baseline", NASTY]
    choose(page, "change", "fixed")
    assert shown(page) == [NASTY] and marks(page) == [f"0 {NASTY} fixed", f"1 {NASTY} fixed"]  # missed, and found
    choose(page, "change", "broken")
    assert shown(page) == [] and status(page).startswith("Nothing to show, 0 of 3 images.")
    slide(page, 1000)  # the variant then finds nothing
    assert shown(page) == ["a"] and marks(page) == ["0 ride bicycle broken", "1 ride bicycle broken"]
    page.find_element(By.CSS_SELECTOR, "#variants input[value=baseline]").click()  # beside itself is no comparison
    assert status(page) == "3 of 3 images: 1 right, 1 wrong, 2 missed"


def test_the_class_table_sorts_and_filters_the_gallery(page):
    def column(place):
        cells = page.find_elements(By.CSS_SELECTOR, f"#class-table tbody tr > :nth-child({place})")
        return [cell.text for cell in cells]

    def title(place):
        return page.find_element(By.CSS_SELECTOR, f"#class-table thead th:nth-child({place}) button")

    names = ["ride bicycle", "hold cup", NASTY]
    assert column(1) == names and column(4) == ["20.00", "-5.25", "\N{EN DASH}"]
    title(2).click()
    assert column(1) == ["hold cup", "ride bicycle", NASTY]  # no number comes last
    title(6).click()
    assert column(6) == ["1,500", "1,100", "700"]
    title(6).click()
    assert column(6) == ["700", "1,100", "1,500"] and "order=5" in address(page)
    title(1).click()
    assert column(1) == names
    page.find_element(By.XPATH, "//*[@id='class-table']//button[text()='hold cup']").click()
    assert status(page) == "1 of 3 images: 0 right, 0 wrong, 1 missed"
    wait_for_place(page, "gallery")
    assert page.find_element(By.CSS_SELECTOR, "#class-table .chosen").text.startswith("hold cup")


def test_the_address_holds_the_state(page):
    """A link shows what its maker saw, and one that makes no sense shows the start."""
    choose(page, "beside", "baseline")
    choose(page, "change", "fixed")
    choose(page, "hoi", NASTY)
    choose(page, "sort", "lowest score")
    page.find_element(By.CSS_SELECTOR, "#outcomes input[name=wrong]").click()
    slide(page, 0)
    page.find_element(By.CSS_SELECTOR, "#class-table thead th:nth-child(2) button").click()
    link, seen = address(page), (status(page), shown(page), marks(page))
    assert seen[1] == [NASTY] and len(seen[2]) == 2
    page.get("about:blank")
    page.get(link)
    assert (status(page), shown(page), marks(page)) == seen
    assert page.find_element(By.ID, "threshold-text").text == "0.010"
    assert page.find_element(By.CSS_SELECTOR, "[aria-sort=descending]").text.startswith("baseline")
    page.find_element(By.LINK_TEXT, "Figures").click()
    eventually(page, lambda: "#figures?" in address(page), True)  # links within the page keep it
    assert status(page) == seen[0]
    page.get("about:blank")
    page.get(link.partition("#")[0] + "#gallery?variant=x&beside=y&class=z&page=-7&show=q&score.baseline=w")
    assert status(page).startswith("Nothing to show, 0 of 3 images; hidden: 2 right, 1 wrong, 1 missed.")


@contextmanager
def screen(page, width: int, height: int):
    """A screen of this size, that of a phone where it is narrow."""
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 640}
    page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        yield
    finally:
        page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def wait_for_place(page, anchor: str) -> None:
    """Until the section begins at the top of the window, or the page ends before it can."""
    script = """const top = document.getElementById(arguments[0]).getBoundingClientRect().top;
        const left = document.documentElement.scrollHeight - innerHeight - scrollY;
        return Math.abs(top) < 2 || (top > 0 && left < 2)"""
    eventually(page, lambda: page.execute_script(script, anchor), True)


DESKTOP, PHONE = (1280, 800), (390, 844)


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_anchors_land_where_they_point_on_a_short_page(browser, tmp_path, size):
    """However many images there are: the gallery is paged."""
    path = tmp_path / "index.html"
    path.write_text(whole_page(RECORD | many_images(40)), encoding="utf-8")
    with screen(browser, *size):
        browser.get(path.as_uri())
        for anchor in ("gallery", "figures", "classes", "ablations"):
            browser.find_element(By.CSS_SELECTOR, f'nav a[href="#{anchor}"]').click()
            wait_for_place(browser, anchor)
        assert browser.execute_script("return document.documentElement.scrollHeight / innerHeight") < 15
        browser.get("about:blank")
        browser.get(f"{path.as_uri()}#figures?sort=lowest")
        wait_for_place(browser, "figures")


def many_images(count: int) -> dict:
    """Images like the first of the record."""
    runs = [run | {"found": run["found"][:1] * count} for run in RECORD["runs"]]
    return {"images": [RECORD["images"][0] | {"id": f"image {place}"} for place in range(count)], "runs": runs}


def test_the_gallery_is_paged(browser, tmp_path):
    path = tmp_path / "index.html"
    path.write_text(whole_page(RECORD | many_images(14)), encoding="utf-8")
    with screen(browser, *DESKTOP):
        browser.get(path.as_uri())
        assert shown(browser) == [f"image {place}" for place in range(12)]
        browser.execute_script("document.querySelector('[data-image=\"11\"] .entry').focus()")
        browser.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)  # on to the next page
        assert shown(browser) == ["image 12", "image 13"] and address(browser).endswith("page=2")
        card = browser.switch_to.active_element.find_element(By.XPATH, "ancestor::article")
        assert card.get_attribute("aria-label") == "image 12"
        browser.find_element(By.ID, "previous").click()
        assert len(shown(browser)) == 12 and browser.find_element(By.ID, "page-text").text == "page 1 of 2"
    with screen(browser, *PHONE):
        browser.get(path.as_uri())
        assert len(shown(browser)) == 4


def test_on_a_phone_tables_scroll_with_a_hint_and_the_page_does_not(page):
    sizes = "return [document.documentElement.scrollWidth, innerWidth]"
    hint = "return getComputedStyle(document.querySelector('#classes .wide'), '::before').content"
    with screen(page, 360, 800):
        eventually(page, lambda: page.execute_script(sizes), [360, 360])
        eventually(page, lambda: "scroll sideways" in page.execute_script(hint), True)
    with screen(page, *DESKTOP):
        eventually(page, lambda: page.execute_script(hint), "none")


def test_variants_and_halos_look_the_same_in_light_and_dark(page):
    """Each color of a variant stands out from both papers, at least 3 to 1 (WCAG 1.4.11)."""
    script = """document.documentElement.dataset.theme = arguments[0];
        const color = (query, what) => getComputedStyle(document.querySelector(query))[what];
        return [color("figure svg path[style*='variant-0']", "stroke"), color(".boxes .halo", "stroke")]"""
    light, paper = page.execute_script(script, "light"), background(page)
    dark, black = page.execute_script(script, "dark"), background(page)
    assert light == dark and light[1].startswith("rgba(255, 255, 255") and max(black) < 40
    assert all(contrast(ImageColor.getrgb(color), other) >= 3 for color in VARIANTS for other in (paper, black))


def contrast(*colors: tuple[int, ...]) -> float:
    shares = [np.array(color) / 255 for color in colors]
    linear = [np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4) for share in shares]
    low, high = sorted(float(value @ [0.2126, 0.7152, 0.0722]) for value in linear)
    return (high + 0.05) / (low + 0.05)


def test_a_script_that_is_not_the_pages_own_is_refused_and_logged(browser, html, tmp_path):
    """The policy works, and errors reach the log that the other tests look at."""
    path = tmp_path / "changed.html"
    path.write_text(html.replace('"use strict";', '"use strict"; ', 1), encoding="utf-8")
    browser.get(path.as_uri())
    assert browser.find_element(By.ID, "status").text == ""
    (entry,) = WebDriverWait(browser, 20).until(lambda _: browser.get_log("browser"))
    assert entry["level"] == "SEVERE" and "Content Security Policy" in entry["message"]


def test_the_stages_own_page_loads(browser, tmp_path):
    layout = write_world(tmp_path)
    assert CliRunner().invoke(command, ["--dataset", "toyworld", "--root", str(tmp_path)]).exit_code == 0
    browser.get((layout.report / "index.html").as_uri())
    assert "of 3 images" in status(browser)
    slide(browser, 0)
    assert shown(browser) == ["test-0", "test-1", "test-2"]
    assert status(browser) == "3 of 3 images: 4 right, 2 wrong, 0 missed"  # one pair of two classes on each image
    kinds = {kind.text for kind in browser.find_elements(By.CSS_SELECTOR, "#cards .kind")}
    assert kinds == {"wrong verb"}
    loaded = "return [...document.images].every((one) => one.naturalWidth > 0)"
    eventually(browser, lambda: browser.execute_script(loaded), True)
    with screen(browser, *DESKTOP):
        browser.execute_script("scrollTo(0, 0)")
        for part in (".facts", ".first table", ".bar:last-of-type"):  # on the first screen
            assert browser.find_element(By.CSS_SELECTOR, part).rect["y"] + 20 < 800
        script = """const right = (part) => part.getBoundingClientRect().right;
            return [...document.querySelectorAll("#class-table thead button")]
                .filter((title) => right(title) > right(title.parentElement)).map((title) => title.textContent)"""
        assert browser.execute_script(script) == []  # titles are whole
    with screen(browser, *PHONE):
        browser.refresh()
        assert browser.execute_script("return document.documentElement.scrollHeight / innerHeight") < 15
    assert browser.get_log("browser") == []


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_the_page_of_a_split_without_boxes(browser, tmp_path, size):
    """In the style of the other page: squares in the variants' colors, wide things scroll, themes; no gallery."""
    layout = write_world(tmp_path, boxes=False)
    assert CliRunner().invoke(command, ["--dataset", "toyworld", "--root", str(tmp_path)]).exit_code == 0
    with screen(browser, *size):
        browser.get((layout.report / "index.html").as_uri())
        assert "no annotated boxes in the test split" in browser.find_element(By.CLASS_NAME, "lead").text.lower()
        assert [link.text for link in browser.find_elements(By.CSS_SELECTOR, "nav a")] == ["Results", "Images"]
        script = "return [...document.querySelectorAll('.swatch')].map((one) => getComputedStyle(one).backgroundColor)"
        rgb = [f"rgb{ImageColor.getrgb(color)}" for color in VARIANTS[:2]]
        assert browser.execute_script(script) == rgb
        script = "return [...document.images].map((one) => [one.naturalWidth > 0, one.width])"
        (loaded, width), _ = browser.execute_script(script)
        assert loaded and width >= 600  # one can see what is drawn
        assert browser.execute_script("return document.documentElement.scrollWidth") <= size[0]
        toggle = browser.find_element(By.ID, "theme")
        for _ in ("light", "dark"):
            toggle.click()
        assert max(background(browser)) < 40
        assert browser.find_element(By.ID, "written").is_displayed()
        browser.find_element(By.LINK_TEXT, "Images").click()
        wait_for_place(browser, "images")
    assert browser.get_log("browser") == []
