"""The page of a grid: whole, alone, readable by anyone, and with the same numbers as its Markdown."""

from __future__ import annotations

import json
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import grid_page
import pytest

from pycaffe_ext.errors import UserError
from pycaffe_ext.report import model
from pycaffe_ext.report.grid import answer, pages

SECTIONS = [
    "Answer",
    "Recommendation at each amount of data",
    "The paper's claims",
    "Performance by depth of tuning",
    "Performance by amount of training data",
    "Validation AUC in training",
    "What more data would bring",
    "The paper's procedure: one layer more at a time",
    "Results of every scheme",
    "The paper's tables",
    "Data",
    "Settings",
    "Not as in the paper",
    "Runs",
    "Versions and hashes",
    "How the numbers are made",
]
VOID = {"meta", "img", "br", "hr", "input", "link"}


class Parsed(HTMLParser):
    """open : tags that are not closed; faults : tags closed in another order.   tables : of rows of texts of cells."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open, self.faults, self.tags = [], [], []
        self.headings, self.tables, self.texts = [], [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if re.fullmatch("h[1-6]", tag):
            self.headings.append([int(tag[1]), ""])
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(tag)

    def handle_data(self, data):
        if self.open and re.fullmatch("h[1-6]", self.open[-1]):
            self.headings[-1][1] += data
        if {"td", "th"} & set(self.open):
            self.tables[-1][-1][-1] += data
        if not {"style", "script"} & set(self.open):
            self.texts.append(data)

    def all(self, *names):
        return [attributes for tag, attributes in self.tags if tag in names]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """The folder of a page on made-up runs."""
    root = tmp_path_factory.mktemp("page")
    return pages.write(grid_page.material(root / "runs"), root / "report").parent


@pytest.fixture(scope="module")
def page(made) -> str:
    return (made / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def parsed(page) -> Parsed:
    return Parsed(page)


@pytest.fixture(scope="module")
def text(parsed) -> str:
    return " ".join("".join(parsed.texts).split())


def test_every_section_is_there_and_the_answer_comes_first(parsed, made):
    assert [title for level, title in parsed.headings if level == 2] == SECTIONS
    lines = (made / "report.md").read_text().splitlines()
    assert [line.removeprefix("## ") for line in lines if line.startswith("## ")] == SECTIONS


def test_the_page_is_well_formed_and_its_ids_are_unique(parsed):
    assert parsed.open == [] and parsed.faults == []
    ids = [attributes["id"] for _, attributes in parsed.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    named = [
        attributes[name]
        for _, attributes in parsed.tags
        for name in ("aria-labelledby", "aria-describedby")
        if name in attributes
    ]
    links = [attributes["href"] for _, attributes in parsed.tags if "href" in attributes]
    clips = re.findall(r"url\(#([^)]*)\)", " ".join(str(attributes) for _, attributes in parsed.tags))
    assert named and clips and {*named, *clips, *(link.removeprefix("#") for link in links)} <= set(ids)


def test_the_page_needs_nothing_but_itself(page, parsed, made):
    assert "://" not in page and "@import" not in page
    assert not [name for _, attributes in parsed.tags for name in attributes if name in ("src", "srcset", "data")]
    assert all(attributes["href"].startswith("#") for _, attributes in parsed.tags if "href" in attributes)
    assert set(re.findall(r"url\((.)", page)) == {"#"}
    assert "/nowhere" not in page  # a page is passed on: folders of the machine are not in it
    assert not any(made.joinpath(name).read_text().count("http://www.w3.org/2000/svg") != 1 for name in _figures(made))


def _figures(made):
    return [path.name for path in made.glob("*.svg")]


def test_headings_follow_each_other_without_a_gap(parsed):
    levels = [level for level, _ in parsed.headings]
    assert levels.count(1) == 1 and levels[0] == 1
    assert all(after <= before + 1 for before, after in zip(levels, levels[1:], strict=False))


def test_every_picture_has_an_alternative_text_and_its_data(page, parsed, made):
    pictures = parsed.all("svg")
    assert len(pictures) == len(_figures(made)) == 8  # of four kinds
    for attributes in pictures:
        name = attributes["id"]
        assert attributes["role"] == "img"
        for part in ("title", "desc"):
            assert len(re.search(rf'<{part} id="{name}-{part}">([^<]+)<', page)[1]) > 30
    assert len(parsed.all("details")) >= len(pictures)
    assert sum(attributes.get("class") == "data" for attributes in parsed.all("details")) == len(pictures)


def test_every_table_has_a_caption_and_scopes(page, parsed):
    assert page.count("<caption") == len(parsed.tables) > 20
    assert "" not in re.findall(r"<caption[^>]*>([^<]*)<", page)
    assert all(attributes.get("scope") in ("row", "col") for attributes in parsed.all("th"))
    assert all(len({len(row) for row in rows}) == 1 for rows in parsed.tables)


def test_markdown_has_the_same_tables(parsed, made):
    assert Counter(map(_normal, parsed.tables)) == Counter(map(_normal, _markdown_tables(made / "report.md")))


def _markdown_tables(path):
    tables, before = [], ""
    for line in path.read_text().splitlines():
        if line.startswith("|"):
            if not before.startswith("|"):
                tables.append([])
            if not re.fullmatch(r"[|: -]+", line) or "---" not in line:
                cells = re.split(r"(?<!\\) \| ", line.removeprefix("| ").removesuffix(" |"))
                tables[-1].append([re.sub(r"\\(.)", r"\1", cell) for cell in cells])
        before = line
    return tables


def _normal(rows):
    return tuple(tuple(" ".join(cell.split()) for cell in row) for row in rows)


def test_an_error_is_shown_as_readers_know_it(text, parsed):
    found = grid_page.evidence("imt", grid_page.MM)
    mean = -found.figure.values[:, found.column("ft-conv1", "1")].mean()
    rows = [
        row
        for rows in parsed.tables
        for row in rows
        if row[:2] == ["ft-conv1", "all data"] and row[-1].startswith("2 seeds")
    ]
    value, low, high = map(float, re.fullmatch(r"(\S+) \[(\S+), (\S+)\]", rows[-1][5]).groups())
    assert value == pytest.approx(mean, abs=6e-4) and low < value < high
    assert "Mean absolute error of the thickness in mm (lower is better)" in text


def test_the_baseline_stands_beside_the_nets(text, parsed, made):
    for app, merit in (("frames", grid_page.AUC), ("imt", grid_page.MM)):
        own, name = grid_page.evidence(app, merit), f"{grid_page.BASELINES[app]} alone"
        mean = merit.shown(own.figure.values[:, -1].mean())
        rows = [row for rows in parsed.tables for row in rows if row[0] == name]
        (result,) = [row for row in rows if len(row) == 7]  # of the results
        assert result[:5] == [name, "-", "2", "-", "-"] and result[6] == "2 seeds, 24 test groups"
        value, low, high = map(float, re.fullmatch(r"(\S+) \[(\S+), (\S+)\]", result[5]).groups())
        assert value == pytest.approx(mean, abs=6e-4) and low < value < high
        assert [row[1:3] for row in rows if len(row) == 6] == 2 * [["-", f"{mean:.4f}"]]  # data of two figures
        assert f"; {name}: {result[5]}, by 2 seeds" in text
    svg = (made / "depth-1.svg").read_text() + (made / "fraction-2.svg").read_text()
    assert "hand-crafted features alone" in svg and "gradients alone" in svg


def test_every_claim_has_its_number_effect_and_verdict(parsed, text):
    (claims,) = [rows for rows in parsed.tables if rows[0][:3] == ["claim", "verdict", "about"]]
    found = {row[0]: row for row in claims}
    good = found["1. Deep is as good"]
    assert good[1] == "shown" and good[3].startswith("+0.031 [") and "margin -0.02" in good[6]
    sooner = found["4. Deep is sooner"]
    assert sooner[1] == "not shown" and sooner[3].startswith("0.857 [0.421, 0.996]") and sooner[4] == "0.125 (0.250)"
    assert "the weakest: ft-fc8" in found["5. Every net is better"][6]
    assert found["5. Depth helps"][1] == "not tested" and found["5. Depth helps"][6].endswith("2 depths were run")
    assert (
        "Not shown: Deep is sooner (frames, alexnet). 0.857 [0.421, 0.996] for ft-conv1 before scratch, Holm's p = 0.25"
        in text
    )
    assert "make APP-tables" not in text


def test_the_answer_says_what_to_do_and_what_the_data_are(text):
    advice = "Recommended for frames, alexnet (semi-synthetic frames) with all data: tuning the layers from conv3 on"
    assert f"{advice} (ft-conv3). It is shown to be not worse than the best scheme by more than 0.02 AUC." in text
    assert "Holm's p = 0.024 (2 seeds, 24 effective test groups)." in text
    assert "Shown: The gap grows (frames, alexnet). +0.031 [" in text
    assert "Not tested: The best depth depends on the application (alexnet); one application." in text
    assert "drawn by a program, not taken from patients" in text and "an ultrasound phantom" in text
    assert "has not seen ImageNet" in text and "two seeds: intervals are wide" in text
    assert "Twice the data, imt, alexnet (an ultrasound phantom), ft-conv3: about 0." in text
    assert "Incomplete: 1 of 49 runs are not finished" in text and "failed: the disk is full" in text


def test_what_is_needed_to_repeat_it_is_there(text, parsed):
    rows = {tuple(row[:2]): row for rows in parsed.tables for row in rows}
    assert rows["PATCHES", "400"][2] == "400" and rows["WIDTH", "1/8"][2] == "1/8"
    assert ["caffe", "caffe version 1.0.0 (lab)"] in [row for rows in parsed.tables for row in rows]
    assert "SEEDS: [0, 1]" in text and "ab" * 6 in text and "cd" * 6 in text
    assert rows["groups", "40"] == ["groups", "40", "10", "2", "10", "24"]
    assert rows["ft-conv3", "the paper"][2:6] == ["0", "0", "0.001", "0.001"]
    assert rows["conv1", "convolution"][5:] == ["96x55x55", "12x55x55"]
    assert "BVLC AlexNet donor" in text  # the ledger
    outside = ["ft-fc8", "all data", "0", "clinic", "0.625 [0.575, 0.675]", "AUC of frames"]
    assert outside in [row for rows in parsed.tables for row in rows]


def test_one_seed_has_intervals_for_other_groups_alone(tmp_path):
    made = grid_page.material(tmp_path, seeds=(0,), fractions=("1",))
    value = made.panels[0].value("ft-conv1", "1")
    assert value.basis == "1 seed, 24 test groups" and 0 < value.low < value.mean < value.high < 1
    found = pages.write(made, tmp_path / "report").with_suffix(".md").read_text()
    assert "no figure, a single amount of data" in found


def test_a_fraction_without_a_finished_run(tmp_path):
    made = grid_page.material(tmp_path, seeds=(0,), fractions=("1", "1/4"))
    some = [grid_page.without(panel, "1") for panel in made.panels]
    again = grid_page.replace(made, panels=tuple(some))
    assert [panel.largest for panel in again.panels] == ["1/4", "1/4"]
    text = pages.write(again, tmp_path / "report").with_suffix(".md").read_text()
    assert "Validation AUC in training, frames, alexnet (semi-synthetic frames), 1/4 of the data" in text


def test_a_folder_of_other_files_is_left_alone(tmp_path):
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="no report; choose another OUT"):
        pages.write(grid_page.material(tmp_path / "runs", seeds=(0,), fractions=("1",)), tmp_path / "report")
    assert [path.name for path in (tmp_path / "report").iterdir()] == ["mine.txt"]


def test_nothing_half_written_is_left(tmp_path, made, monkeypatch):
    def fail(*_):
        raise UserError("no room on the disk")

    monkeypatch.setattr(pages.page, "html", fail)
    before = {path: path.read_bytes() for path in made.iterdir()}
    with pytest.raises(UserError, match="no room"):
        pages.write(grid_page.material(tmp_path / "runs", seeds=(0,), fractions=("1",)), made)
    assert {path: path.read_bytes() for path in made.iterdir()} == before
    assert [path.name for path in made.parent.iterdir() if path.name not in ("runs", "report")] == []


def test_a_page_is_replaced_and_names_its_files(made):
    record = json.loads((made / "report.json").read_text())
    assert record["study"] == "mine" and set(record["files"]) == {path.name for path in made.iterdir()}


def test_a_recommendation_that_is_missing_says_what_it_takes(tmp_path):
    made = grid_page.material(tmp_path, seeds=(0,), fractions=("1",))
    advice = [grid_page.replace(own, scheme=None, needs="9 seeds") for own in made.findings.recommendations]
    found = grid_page.replace(made, findings=grid_page.replace(made.findings, recommendations=tuple(advice)))
    page = model.markdown([answer.answer(found)])
    assert (
        "No scheme can be recommended yet for frames, alexnet (semi-synthetic frames) with all data: 9 seeds." in page
    )
