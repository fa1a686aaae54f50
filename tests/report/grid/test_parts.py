"""Parts of a grid's page: the ledger, values over seeds, schemes in words, pictures as SVG."""

from __future__ import annotations

import re
from dataclasses import replace
from math import exp, log, sqrt
from xml.etree import ElementTree

import grid_page
import numpy as np
import pytest
from scipy import stats

from pycaffe_ext import checkout, plotting
from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation.seeds import scheme_interval
from pycaffe_ext.report import svg
from pycaffe_ext.report.grid.ledger import FILE, ledger
from pycaffe_ext.report.grid.material import Panel, scheme_text


def test_the_ledger_is_that_of_the_documentation():
    found = ledger(checkout.root())
    lines = (checkout.root() / FILE).read_text().splitlines()
    table = [line for line in lines[lines.index("| the paper | here | why |") :] if line.startswith("|")]
    assert found.header == ("the paper", "here", "why") and len(found.rows) >= 20
    assert f"| {found.rows[0][0]} |" in table[2]
    assert not [cell for row in found.rows for cell in row if "`" in cell or "](" in cell]


def test_no_ledger_without_a_checkout_and_an_error_without_the_table(tmp_path):
    assert ledger(None) is None
    (tmp_path / FILE).parent.mkdir(parents=True)
    (tmp_path / FILE).write_text("# Another page\n")
    with pytest.raises(UserError, match="no table below"):
        ledger(tmp_path)


def test_a_value_over_seeds_is_the_interval_of_the_reports():
    found = grid_page.evidence("frames", grid_page.AUC, seeds=(0, 1, 2))
    column = found.column("scratch", "1/4")
    expected = scheme_interval(found.figure, column, 0.0)
    value = Panel(found, ()).value("scratch", "1/4")
    assert value[:3] == pytest.approx(expected[:3]) and value.basis == "3 seeds, 24 test groups"


def test_a_value_of_one_seed_is_by_its_groups():
    found = grid_page.evidence("frames", grid_page.AUC, seeds=(0,))
    value = Panel(found, ()).value("ft-fc8", "1")
    mean, column = value.mean, found.column("ft-fc8", "1")
    reach = stats.t.ppf(0.975, 21.5) * sqrt(found.figure.covariance[0, column, 0, column])
    centre, wide = log(mean / (1 - mean)), reach / mean / (1 - mean)
    ends = [1 / (1 + exp(-end)) for end in (centre - wide, centre + wide)]
    assert [value.low, value.high] == pytest.approx(ends)


@pytest.mark.parametrize("merit", [grid_page.AUC, grid_page.MM])
def test_a_missing_run_has_no_value_and_an_unknown_covariance_no_interval(merit):
    found = grid_page.evidence("frames", merit)
    column = found.column("ft-fc8", "1")
    values, covariance = found.figure.values.copy(), found.figure.covariance.copy()
    values[:, column] = np.nan
    gone = Panel(replace(found, figure=replace(found.figure, values=values)), ())
    assert gone.value("ft-fc8", "1") is None
    covariance[:, column] = np.nan
    unknown = Panel(replace(found, figure=replace(found.figure, covariance=covariance)), ()).value("ft-fc8", "1")
    assert unknown.low is None and unknown.high is None and "[" not in unknown.text


@pytest.mark.parametrize(
    ("scheme", "net", "words"),
    [
        ("ft-fc8", "alexnet", "tuning the last layer only (ft-fc8)"),
        ("ft-conv1", "squeezenet", "tuning all layers (ft-conv1)"),
        ("ft-fire7", "squeezenet", "tuning the layers from fire7 on (ft-fire7)"),
        ("scratch-msra", "alexnet", "training from scratch (scratch-msra)"),
        ("gradual", "alexnet", "the scheme gradual"),
    ],
)
def test_schemes_in_words(scheme, net, words):
    assert scheme_text(scheme, net) == words


@pytest.fixture
def drawn(tmp_path):
    figure, axes = plotting.page(width=5, height=3)
    axes.plot([0, 1], [0, 1], "o-", color=plotting.COLOURS[1], label="a <b> & c")
    axes.legend(frameon=False)
    svg.save(figure, tmp_path / "my-figure.svg")
    return tmp_path / "my-figure.svg"


def test_a_picture_has_text_as_text_and_colours_that_a_page_may_set(drawn):
    root = ElementTree.parse(drawn).getroot()
    texts = ["".join(element.itertext()) for element in root.iter(f"{{{svg.NAMESPACE}}}text")]
    assert "a <b> & c" in texts and "0.0" in texts
    text = drawn.read_text()
    assert "var(--c1, #d55e00)" in text.lower() and "var(--ink, #000000)" in text
    assert not re.findall(r"(?<!, )#[0-9a-f]{6}\b", text.lower())
    assert root.get("viewBox") == "0 0 360 216" and root.get("width") is None
    assert "metadata" not in text and "DejaVu" not in text


def test_a_picture_in_a_page_has_its_names_and_no_address(drawn):
    page = svg.inline(drawn, "A <title>", "What it & shows")
    assert '<title id="my-figure-title">A &lt;title&gt;</title>' in page
    assert '<desc id="my-figure-desc">What it &amp; shows</desc>' in page
    assert "http" not in page and 'role="img"' in page
    used = re.findall(r'href="#([^"]*)"|url\(#([^)]*)\)', page)
    assert used and all(f'id="{a or b}"' in page and (a or b).startswith("my-figure-") for a, b in used)


def test_the_same_figure_is_the_same_file(drawn, tmp_path):
    before = drawn.read_bytes()
    figure, axes = plotting.page(width=5, height=3)
    axes.plot([0, 1], [0, 1], "o-", color=plotting.COLOURS[1], label="a <b> & c")
    axes.legend(frameon=False)
    svg.save(figure, drawn)
    assert drawn.read_bytes() == before
