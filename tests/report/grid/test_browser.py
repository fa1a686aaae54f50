"""The page of a grid in headless Chromium: it fits, it can be read by anyone, and its script does what it is for."""

from __future__ import annotations

from pathlib import Path

import grid_page
import pytest

from pycaffe_ext.report.grid import pages

pytestmark = pytest.mark.slow
WIDTHS = (390, 1280)
SCHEMES = ("light", "dark")
# what the guidelines ask for, and what axe calls good practice
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("page")
    return pages.write(grid_page.material(root / "runs", fractions=("1", "1/4")), root / "report")


@pytest.fixture
def shown(browser, file):
    """Opens the page; what its console says, and what it asks of the net, is checked when the test is over."""
    opened, said, asked = [], [], []

    def show(width: int = 1280, scheme: str = "light", **options):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, **options)
        tab = context.new_page()
        tab.on("console", lambda message: said.append(message.text))
        tab.on("pageerror", lambda error: said.append(str(error)))
        tab.on("request", lambda request: asked.append(request.url))
        tab.goto(file.as_uri())
        opened.append(context)
        return tab

    yield show
    assert said == [] and set(asked) == {file.as_uri()}
    for context in opened:
        context.close()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_it_fits_and_meets_the_rules(shown, width, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python")
    tab = shown(width, scheme, bypass_csp=True)  # axe is a script that the page does not allow
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    tab.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    found = axe.Axe().run(tab, options={"runOnly": RULES, "resultTypes": ["violations"]}).response
    assert [(one["id"], one["nodes"][0]["html"][:200]) for one in found["violations"]] == []
    assert "color-contrast" in {one["id"] for one in found["passes"]}


def test_the_claims_fit_without_scrolling(shown):
    tab = shown(1280)
    claims = tab.locator("section", has=tab.get_by_role("heading", name="The paper's claims")).locator(".scroll").first
    assert claims.evaluate("(box) => box.scrollWidth - box.clientWidth") <= 0


def test_dark_is_dark_and_figures_follow(shown):
    def colours(scheme):
        tab = shown(scheme=scheme)
        of = "(name) => getComputedStyle(document.querySelector(name))"
        return tab.evaluate(f"({of})('body').backgroundColor"), tab.evaluate(f"({of})('svg text').fill")

    (light, dark_ink), (dark, light_ink) = colours("light"), colours("dark")
    assert _sum(light) > 700 and _sum(dark_ink) < 120 and _sum(dark) < 120 and _sum(light_ink) > 600


def _sum(colour: str) -> float:
    return sum(map(float, colour.strip("rgba()").split(",")[:3]))


def test_tables_sort_by_the_keyboard(shown):
    tab = shown()
    table = (
        tab.locator("section", has=tab.get_by_role("heading", name="Results of every scheme")).locator("table").first
    )
    column = "(rows) => rows.map((row) => parseFloat(row.cells[5].innerText))"
    before = table.locator("tbody tr").evaluate_all(column)
    button = table.get_by_role("button", name="AUC of frames")
    button.focus()
    tab.keyboard.press("Enter")
    assert table.locator("tbody tr").evaluate_all(column) == sorted(before) != before
    assert table.locator("th[aria-sort=ascending]").inner_text() == "AUC of frames"
    tab.keyboard.press("Space")
    assert table.locator("tbody tr").evaluate_all(column) == sorted(before, reverse=True)
    assert table.locator("[aria-sort]").count() == 1


def test_data_are_copied_as_csv(shown, file):
    tab = shown(permissions=["clipboard-read", "clipboard-write"])
    data = tab.locator("details.data").first
    data.locator("summary").focus()
    tab.keyboard.press("Enter")
    data.get_by_role("button", name="Copy as CSV").click()
    data.get_by_role("button", name="Copied").wait_for()
    lines = tab.evaluate("navigator.clipboard.readText()").splitlines()
    assert lines[0] == "scheme,fraction,mean,low,high,by"
    assert (
        len(lines) == 10
        and lines[9].startswith("hand-crafted features alone,-,0.6")
        and lines[1].startswith("ft-fc8,1,0.7")
        and lines[1].endswith(',"2 seeds, 24 test groups"')
    )


def test_the_first_key_leads_past_the_links(shown):
    tab = shown()
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.className") == "skip"
    assert tab.evaluate("document.activeElement.getBoundingClientRect().top") >= 0
    tab.keyboard.press("Enter")
    assert tab.evaluate("location.hash") == "#main"


def test_it_is_whole_without_its_script(shown):
    tab = shown(java_script_enabled=False)
    assert tab.locator("th button").count() == 0
    assert tab.get_by_role("heading", level=2).count() == 15
    assert tab.locator("table").first.is_visible()
