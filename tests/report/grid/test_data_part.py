"""The data of a grid's page: every amount and every request, counts to the last digit, and what the seeds share."""

from __future__ import annotations

from dataclasses import replace

import grid_page
import pytest

from pycaffe_ext.report import model
from pycaffe_ext.report.grid import data_part
from pycaffe_ext.report.grid.material import Material, Panel
from pycaffe_ext.runs.finished import RunFiles


@pytest.fixture(scope="module")
def panels(tmp_path_factory) -> tuple[Panel, Panel]:
    """One application with two nets, the second of which has less data too."""
    root = tmp_path_factory.mktemp("runs")
    one = grid_page.material(root / "a", fractions=("1",)).panels[0]
    two = grid_page.material(root / "b", fractions=("1/4", "1/20")).panels[0]
    return one, Panel(replace(two.evidence, net="squeezenet", title="frames, squeezenet"), two.runs)


def sections(*panels: Panel) -> list[model.Section]:
    found = data_part.section(Material("mine", "", panels, None, 8))
    return [block for block in found.blocks if isinstance(block, model.Section)]


def table(section: model.Section) -> model.Table:
    (found,) = [block for block in section.blocks if isinstance(block, model.Table)]
    return found


def with_patches(run: RunFiles) -> RunFiles:
    found = replace(run, settings=run.settings.with_request(patches=800))
    found.__dict__.update({name: value for name, value in run.__dict__.items() if name not in found.__dict__})
    return found


def test_amounts_of_data_of_all_nets_stand_in_one_table(panels):
    (section,) = sections(*panels)
    training = ("training, all data", "training, 1/4 of the data", "training, 1/20 of the data")
    assert section.title == "frames: semi-synthetic frames"
    assert table(section).header == ("", *training, "validation", "test")
    rows = {row[0]: row[1:] for row in table(section).rows}
    assert rows["groups"] == ("40", "10", "2", "10", "24")


def test_other_requests_of_the_same_data_have_tables_of_their_own(panels):
    other = Panel(panels[1].evidence, tuple(map(with_patches, panels[1].runs)))
    first, second = sections(panels[0], other)
    assert first.title == "frames: semi-synthetic frames (frames, alexnet)"
    assert second.title == "frames: semi-synthetic frames (frames, squeezenet)"
    assert table(second).header[1] == "training, 1/4 of the data"


def test_what_a_seed_decides_is_said(panels):
    text = model.markdown(sections(panels[0]))
    assert "a seed decides the split into training and test groups" in text
    assert "Overlap of the seeds' test sets, by group: 0 % on average" in text

    def fixed(run):
        found = replace(run, settings=run.settings.with_request(seed=0))
        found.__dict__.update({name: value for name, value in run.__dict__.items() if name not in found.__dict__})
        return found

    own = Panel(panels[0].evidence, tuple(map(fixed, panels[0].runs)))
    assert "all seeds have one split into training and test groups (SPLIT_SEED=0)" in model.markdown(sections(own))


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        ([1234567, 1234567], "1 234 567"),
        ([9999999.0, 12345678], "9 999 999-12 345 678"),
        ([0.25], "0.25"),
        ([12], "12"),
        ([], ""),
    ],
)
def test_counts_are_shown_to_the_last_digit(counts, text):
    assert data_part._span([{"train": count} for count in counts], "train") == text
