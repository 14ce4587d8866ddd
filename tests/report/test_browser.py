"""The page in a real browser: it loads, filters, re-thresholds, obeys the keyboard, and logs no error."""

from __future__ import annotations

import base64
import io
import re
import shutil

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from selenium import webdriver
from selenium.webdriver import ActionChains
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

from pipeline.report import figures
from pipeline.report.class_table import class_table_html
from pipeline.report.page import Section, figure, inline_svg, render_page
from pipeline.report.results import PerClass
from pipeline.report.table import html_table
from stages.report import command
from tests.report.worlds import write_world

pytestmark = pytest.mark.slow

FLAGS = ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--window-size=1300,1000")
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
    yield browser
    assert browser.get_log("browser") == []


def status(page) -> str:
    return page.find_element(By.ID, "status").text.split(";")[0]


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
    assert sizes == [100] * 3  # two cards and the plot


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
    assert shown(page) == ["a"] and status(page).startswith("1 of 3 images: 2 right")
    (entry,) = page.find_elements(By.CSS_SELECTOR, ".entry")
    assert entry.get_attribute("aria-label") == "Missed: hold cup"
    assert "no detection" in readout(page)
    page.find_element(By.CSS_SELECTOR, "#outcomes input[name=missed]").click()
    assert shown(page) == [] and page.find_element(By.ID, "nothing").is_displayed()


def test_sorting(page):
    slide(page, 0)
    select, orders = Select(page.find_element(By.ID, "sort")), {}
    for name in ("highest", "lowest", "mistakes", "split"):
        select.select_by_value(name)
        orders[name] = shown(page)
    assert orders == {
        "highest": ["a", NASTY, "b"],
        "lowest": ["b", "a", NASTY],
        "mistakes": ["a", "b", NASTY],
        "split": ["a", "b", NASTY],
    }


def test_pointing_at_a_detection_highlights_its_pair_and_shows_its_scores(page):
    assert highlighted(page) == []
    _, second, missed = page.find_elements(By.CSS_SELECTOR, ".card:first-child .entry")
    ActionChains(page).move_to_element(second).perform()
    assert highlighted(page) == [("object", [20, 40, 40, 35]), ("human", [70, 5, 25, 65])]
    line = page.find_element(By.CSS_SELECTOR, ".pair.on line:not(.halo)")
    assert numbers(line, "x1", "y1", "x2", "y2") == [82.5, 37.5, 40, 57.5]
    assert readout(page) == "✗ ride bicycle 0.40 pairwise 0.50 detector 0.93 global 0.96 relatedness 0.90"
    ActionChains(page).move_to_element(missed).perform()
    assert highlighted(page) == [("object", [60, 10, 10, 10]), ("human", [70, 5, 25, 65])]
    ActionChains(page).move_to_element(page.find_element(By.TAG_NAME, "h1")).perform()
    assert highlighted(page) == []
    box = page.find_element(By.CSS_SELECTOR, '.card:first-child .pair[data-pair="d0"] rect.human:not(.halo)')
    ActionChains(page).move_to_element_with_offset(box, 0, -10).perform()
    assert readout(page).startswith("✓ ride bicycle 0.80")


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
    assert focused().startswith("Wrong: ride bicycle, score 0.40")
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
    # The browser tells of the closing in a task of its own; the focus goes back in that.
    WebDriverWait(page, 10).until(lambda _: focused().startswith("Wrong: ride bicycle"))
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


def test_narrow_screens_need_no_sideways_scrolling(page):
    page.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 360, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    )
    width = page.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
    page.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    assert width == [360, 360]


def test_a_script_that_is_not_the_pages_own_is_refused_and_logged(browser, html, tmp_path):
    """The policy works, and errors reach the log that the other tests look at."""
    path = tmp_path / "changed.html"
    path.write_text(html.replace('"use strict";', '"use strict"; ', 1), encoding="utf-8")
    browser.get(path.as_uri())
    assert browser.find_element(By.ID, "status").text == ""
    (entry,) = browser.get_log("browser")
    assert entry["level"] == "SEVERE" and "Content Security Policy" in entry["message"]


def test_the_stages_own_page_loads(browser, tmp_path):
    layout = write_world(tmp_path)
    assert CliRunner().invoke(command, ["--dataset", "toyworld", "--root", str(tmp_path)]).exit_code == 0
    browser.get((layout.report / "index.html").as_uri())
    assert "of 3 images" in status(browser)
    slide(browser, 0)
    assert shown(browser) == ["test-0", "test-1", "test-2"]
    assert status(browser) == "3 of 3 images: 4 right, 2 wrong, 0 missed"  # one pair of two classes on each image
    assert browser.execute_script("return [...document.images].every((one) => one.naturalWidth > 0)")
    assert browser.get_log("browser") == []
