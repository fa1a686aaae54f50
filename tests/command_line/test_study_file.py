"""Study files: what they mean, and one line, with its number, for everything that they can have wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pycaffe_ext.command_line import study_file
from pycaffe_ext.command_line.parsing import machine_options, parse, settings_options
from pycaffe_ext.command_line.words import run_words
from pycaffe_ext.errors import UserError
from pycaffe_ext.runs.settings import Machine, Settings, TestSet, parse_name
from pycaffe_ext.schemes import compared

EXAMPLE = """
SEEDS: [0, 1]
PATCHES: 600
WEIGHTS: {squeezenet: donors/squeeze.caffemodel, googlenet: /far/google.caffemodel}
blocks:
  - APP: [polyp, frames]
    ARCH: squeezenet
    SCHEMES: [ft-conv10, "scratch:epochs=3"]
    FRACTION: [1, 1/4, 0.05]
    DATA: images/polyps
    DEGRADE: 0
  - APP: imt
    PATCHES: 80
    MEAN: data
    NEAR_MM: 0.2
    SCHEMES: ft-fc8 ft-conv1
"""


@pytest.fixture
def read(tmp_path, monkeypatch):
    """read(text): the grid of a file in studies/ below the current folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "studies").mkdir()

    def call(text: str) -> study_file.Grid:
        Path("studies/mine.yaml").write_text(text)
        return study_file.read("studies/mine.yaml")

    return call


def test_a_grid_is_every_combination_of_its_blocks(read):
    grid = read(EXAMPLE)
    assert grid.name == "mine" and len(grid.cells) == 2 * 3 * 2 * 2 + 2 * 2
    found = {
        (s.app, s.training.arch, s.scheme, s.request.fraction, s.seed) for s in (cell.settings for cell in grid.cells)
    }
    assert len(found) == len(grid.cells)
    assert ("frames", "squeezenet", "scratch", "1/20", 1) in found and ("imt", "alexnet", "ft-conv1", "1", 0) in found
    for own in (cell.settings for cell in grid.cells):
        assert own.request.patches == (80 if own.app == "imt" else 600)
        assert own.request.data == (None if own.app == "imt" else "studies/images/polyps")
        assert own.training.epochs == (3 if own.scheme == "scratch" else 15)


def test_a_run_is_the_one_that_make_would_make(read):
    cell = read(EXAMPLE).cells[0]
    options = {"data": "studies/images/polyps", "patches": 600, "weights": "studies/donors/squeeze.caffemodel"}
    assert cell.settings == Settings.of("polyp", "ft-conv10", arch="squeezenet", seed=0, **options)


def test_common_donors_go_to_the_nets_that_a_block_has(read):
    donors = {cell.settings.training.arch: cell.settings.training.weights for cell in read(EXAMPLE).cells}
    assert donors == {"squeezenet": "studies/donors/squeeze.caffemodel", "alexnet": None}


def test_what_only_some_applications_have_goes_to_them(read):
    options = {cell.settings.app: dict(cell.settings.request.options) for cell in read(EXAMPLE).cells}
    assert options == {"polyp": {}, "frames": {}, "imt": {"near_mm": "0.2"}}


def test_a_file_without_blocks_is_one_block(read):
    grid = read("APP: polyp\nARCH: googlenet\nWEIGHTS: bvlc_googlenet\nFOLDS: 3\nTEST_DATA: ../far\n")
    assert len(grid.cells) == 3 * len(compared("googlenet"))
    assert {cell.settings.training.weights for cell in grid.cells} == {"bvlc_googlenet"}
    assert {cell.outside for cell in grid.cells} == {TestSet("far")}


def test_a_block_can_go_back_to_the_default(read):
    grid = read("PATCHES: 99\nSCHEMES: scratch\nAPP: polyp\nblocks: [{APP: polyp}, {APP: frames, PATCHES: }]")
    assert [cell.settings.request.patches for cell in grid.cells] == [99, 6000]


def test_paths_are_the_files_own_wherever_it_is_read_from(read, tmp_path, monkeypatch):
    read("APP: polyp\nDATA: images\nWEIGHTS: ~/w.caffemodel\nMEAN: m.binaryproto\nSCHEMES: ft-fc8\n")
    monkeypatch.setenv("HOME", "/home/of/mine")
    for place, data in ((tmp_path, "studies/images"), (tmp_path / "studies", "images")):
        monkeypatch.chdir(place)
        (cell,) = study_file.read(os.path.relpath(tmp_path / "studies" / "mine.yaml")).cells
        assert cell.settings.request.data == data
        assert cell.settings.training.weights == "/home/of/mine/w.caffemodel"
        assert cell.settings.training.mean == data.replace("images", "m.binaryproto")


@pytest.mark.parametrize("text", ["104,117,123", "donor", "data"])
def test_means_that_are_no_paths_stay(read, text):
    (cell,) = read(f"APP: polyp\nSCHEMES: ft-fc8\nMEAN: {text}\n").cells
    assert cell.settings.training.mean == text


def test_a_margin_is_the_blocks_and_changes_no_run(read):
    found = read("MARGIN: 0.05\nSCHEMES: scratch\nblocks:\n  - APP: polyp\n  - {APP: imt, MARGIN: 0.1}\n").cells
    assert [cell.margin for cell in found] == [0.05, 0.1]
    assert [cell.settings.name() for cell in found] == ["polyp-scratch", "imt-scratch"]
    assert read("APP: polyp\nSCHEMES: scratch\n").cells[0].margin is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("APP: polyp\nPATCHS: 80", "line 2: unknown setting 'PATCHS'; did you mean 'PATCHES'?"),
        ("APP: polyp\nPATCHES: many", "line 2: PATCHES: 'many' is not a whole number"),
        ("APP: polyp\nBASE_LR: low", "line 2: BASE_LR: 'low' is not a number"),
        ("APP: polyp\nPATCHES: [80, 90]", "line 2: PATCHES takes one value; only APP, ARCH"),
        ("APP: polyp\nPATCHES: {a: 1}", "line 2: PATCHES takes one value"),
        ("APP: polip", "line 1: unknown application 'polip'; did you mean 'polyp'?"),
        ("APP:\n - polyp\n - pollyp", "line 3: unknown application 'pollyp'; did you mean 'polyp'?"),
        ("APP: polyp\nSCHEMES:\n  - ft-fc8\n  - ft-fc9", "line 4: unknown scheme 'ft-fc9'; did you mean"),
        ("APP: polyp\nARCH: squeezenet\nSCHEMES: ft-fc8", "line 3: squeezenet has no scheme ft-fc8"),
        ("APP: polyp\nARCH: [alexnet, alexnett]", "line 2: unknown ARCH 'alexnett'; did you mean 'alexnet'?"),
        ("APP: polyp\nFRACTION: [1, 2]", "line 2: FRACTION=2: must be a share"),
        ("APP: polyp\nSEEDS: [0, x]", "line 2: SEEDS=0 x: must be whole numbers"),
        ("APP: polyp\nSEEDS: [1, 1]", "seed 1 is asked for twice"),
        ("APP: polyp\nEPOCHS: 0", "line 2: EPOCHS=0 is out of range"),
        ("APP: polyp\nSCHEMES: [scratch, scratch]", "scheme alexnet:scratch is asked for twice"),
        ("APP: polyp\n\nAPP: frames", "line 3: APP is given twice, also in line 1"),
        ("APP: polyp\nRESIZE: crop", "line 2: RESIZE is a setting of folder, not of polyp"),
        ("RESIZE: crop\nblocks:\n - APP: polyp", "line 1: RESIZE is a setting of folder, not of polyp"),
        ("APP: polyp\nTHREADS: 2", "line 2: THREADS is not for a study file: it changes the time only"),
        ("APP: polyp\nSEED: 2", "line 2: SEED is not for a study file: give SEEDS"),
        ("APP: polyp\nWEIGHTS: {squeezenett: a}", "line 2: unknown net 'squeezenett'; did you mean 'squeezenet'?"),
        ("APP: polyp\nWEIGHTS: {squeezenet: a}\nblocks: [{WEIGHTS: {googlenet: b}}]", "googlenet has no scheme in"),
        ("PATCHES: 80", "line 1: the block has no APP; one or more of polyp"),
        ("APP: polyp\nblocks: 3", "line 2: blocks must be a list"),
        ("APP: polyp\nblocks: []", "line 2: blocks must be a list"),
        ("APP: polyp\nblocks: [3]", "line 2: a block must be NAME: value pairs"),
        ("- APP: polyp", "line 1: a study file must be NAME: value pairs"),
        ("APP: []", "line 1: APP is an empty list"),
        ("APP: [polyp", "line 1: not YAML"),
        ("APP: 'polyp\n", "not YAML"),
        ("", "is empty"),
        (
            "SCHEMES: scratch\nblocks:\n  - APP: polyp\n  - APP: [imt, polyp]",
            "line 4: polyp-scratch, FRACTION=1, seed 0",
        ),
        ("APP: polyp\nSCHEMES: scratch\nFRACTION: [1/4, 0.25]", "is there twice, also from line 1"),
        ("APP: polyp\nTEST_DATASET: cvc", "line 2: TEST_DATASET=cvc says what TEST_DATA= holds"),
        ("APP: polyp\nMASK: ", None),
        ("APP: polyp\nMARGIN: ", None),
        ("APP: polyp\nMARGIN: much", "line 2: MARGIN: 'much' is not a number"),
        ("APP: polyp\nMARGIN: nan", "line 2: MARGIN=nan: a margin must lie between 0 and 1, both excluded"),
        ("MARGIN: 0\nblocks:\n - APP: polyp", "line 1: MARGIN=0: a margin must lie between 0 and 1, both excluded"),
        (
            "APP: polyp\nblocks:\n - SCHEMES: scratch\n - {SCHEMES: ft-fc8, MARGIN: 0.1}",
            "line 4: MARGIN 0.1, but line 3 has none for the same polyp and alexnet",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_line(read, text, words):
    if words is None:
        assert read(text).cells
        return
    with pytest.raises(UserError) as raised:
        read(text)
    said = str(raised.value)
    assert said.startswith("studies/mine.yaml") and words in said and "\n" not in said


def test_a_file_that_is_not_there(read, tmp_path):
    for given in ("no.yaml", "studies"):
        with pytest.raises(UserError, match="no such study file"):
            study_file.read(given)


@pytest.mark.parametrize(
    "settings",
    [
        Settings.of("polyp", "ft-conv3"),
        Settings.of("polyp", "scratch", data="my data/set", mask="value:3", fraction="1/4", seed=2, split_seed=0),
        Settings.of("imt", "ft-conv1", arch="squeezenet", weights="w x.caffemodel", base_lr=1e-4, near_mm="0.2"),
        Settings.of("frames", "scratch-msra", folds=3, fold=2, tuning=0.25, epochs=2, width="1/8", test_views=3),
    ],
)
def test_the_words_of_a_run_give_its_settings_back(settings):
    machine = Machine("caffe --x", "0", 2, 0.5)
    words = run_words(settings, machine, Path("some where"), TestSet("far", "cvc"))
    options = parse("run", words[1:])
    app, scheme = parse_name(options["name"], options["arch"])
    assert words[0] == "run" and Settings.of(app, scheme, **settings_options(options)) == settings
    assert Machine(**machine_options(options)) == machine and options["runs"] == "some where"
    assert TestSet.given(options["test_data"], options["test_dataset"]) == TestSet("far", "cvc")
