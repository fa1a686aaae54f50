"""Names that people type: what can't be seen is taken away, what looks alike is refused by name."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pycaffe_ext.data import sources
from pycaffe_ext.data.frames import Frame
from pycaffe_ext.data.names import check_look, identifier, look
from pycaffe_ext.data.sources.grouping import read_groups, with_identifiers
from pycaffe_ext.data.splits import SPLITS, read_splits, split_items, write_splits
from pycaffe_ext.data.tables import read_table
from pycaffe_ext.errors import UserError

UMLAUT = "M\u00fcller"
APART = unicodedata.normalize("NFD", UMLAUT)


@pytest.mark.parametrize(
    "typed",
    [
        "patient A",
        "patient A ",
        "\tpatient A",
        "patient\u00a0A",
        "\ufeffpatient A",
        "pa\u200btient A",
        "patient\u2003A\r",
    ],
)
def test_what_cannot_be_seen_makes_no_other_name(typed):
    assert identifier(typed) == "patient A"


def test_both_unicode_forms_are_one_name_and_parts_are_stripped():
    assert APART != UMLAUT and identifier(APART) == identifier(UMLAUT) == UMLAUT
    assert identifier("v1 / 0001 ") == "v1/0001"


@pytest.mark.parametrize("honest", ["P1", "a  b", "x-1_2.3", "Ａ１", "H₂O", UMLAUT, "v1/0001", "-", "患者"])
def test_honest_names_stay_as_they_are(honest):
    assert identifier(honest) == honest


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("P0", "p0"),
        ("P 1", "P1"),
        ("P1", "P01"),
        ("P_1", "P-1"),
        ("p1", "p\uff11"),
        ("A-1", "A\u20131"),
        ("A.", "A"),
        ("A 1", "A\u22121"),
        ("O'Neil", "O\u2019Neil"),
        ("PA1", "\u0420\u04101"),
        ("\u0412\u0435\u0440\u0430", "\u0432\u0435\u0440\u0430"),
        ("HOT", "\u0397\u039f\u03a4"),
        ("Stra\u00dfe", "STRASSE"),
        ("2020-1-2", "2020.01.02"),
        (UMLAUT, APART.upper()),
        ("case 007", "Case7"),
    ],
)
def test_names_that_look_alike_are_refused_with_both_and_their_places(one, other):
    with pytest.raises(UserError) as error:
        check_look([(one, "line 2"), ("x", "line 3"), (one, "line 4"), (other, "line 5")])
    said = str(error.value)
    assert said.index(repr(one)) < said.index("(line 2)") < said.index(repr(other)) < said.index("(line 5)")
    assert "look alike" in said and all(name.isascii() or ascii(name) in said for name in (one, other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1_12", "11_2"),
        ("P1", "P10"),
        ("seq1", "seq1_neg"),
        ("HER2+", "HER2-"),
        ("a/b1", "ab1"),
        ("0", "1"),
        ("1.12", "112"),
        (UMLAUT, "Muller"),
    ],
)
def test_names_that_are_told_apart_are_not_joined(one, other):
    assert look(one) != look(other)


# --- tables -----------------------------------------------------------------------------------------------------------

PLAIN = [("a", "p1"), ("b, c", "p1"), ("d", UMLAUT)]


def table(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(
    "content",
    [
        f'frame,group\na,p1\n"b, c",p1\nd,{UMLAUT}\n',
        f'\ufeffFrame,GROUP\r\na,p1\r\n"b, c",p1\r\nd,{UMLAUT}',
        f"frame;group\n\na;p1\n;\nb, c;p1\nd;{UMLAUT}\n\n",
        f"\n frame \tgroup\tremark\na\tp1\t\nb, c\tp1\tblurred\nd\t{APART}\n",
        f"frame;group\rb, c;p1\ra;p1\rd;{UMLAUT}\r",
        f'sep=;\r\nframe;group\r\n"a";"p1 "\r\nb, c;p1\r\nd;{UMLAUT}\r\n',
        f'frame, group\na, p1\n"b, c", "p1"\nd, {UMLAUT}\n',
        f"frame\tgroup\na\tp1\nb, c\tp1\nd\t{UMLAUT}\n".encode("utf-16"),
    ],
)
def test_groups_are_the_same_however_a_spreadsheet_saved_them(tmp_path, content):
    path = table(tmp_path / "groups.csv", content)
    assert read_groups(path, [name for name, _ in PLAIN]) == dict(PLAIN)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("frame,group\na,p1\n\xfc,p1\n".encode("latin-1"), ["no such frame", "save it as CSV UTF-8"]),
        (b"\xff\xfef", ["not a CSV file", "save it as CSV UTF-8"]),
        ("frame,group\na,x,p1\nb,y\n", ["line 2", "more fields than the header", "quotation marks"]),
        ("frame,group,group\na,p,q\n", ["header `frame,group`"]),
        ("frame,group\na,p1\na,p2\nb,p1\n", ["'a' is listed twice", "in 'p1' and in 'p2'"]),
        ("frame,group\na,p1\na ,p1\nb,p1\n", ["'a' is listed twice"]),
        ("frame,group\na,P1\n\nb,p01\n", ["'P1' (line 2) and 'p01' (line 4) look alike"]),
        ("frame,group\n1,p1\nb,p1\n", ["no group for a", "no such frame: 1"]),
    ],
)
def test_tables_with_two_meanings_are_refused(tmp_path, content, words):
    path = table(tmp_path / "groups.csv", content)
    with pytest.raises(UserError) as error:
        read_groups(path, ["a", "b"])
    assert "groups.csv" in str(error.value) and all(word in str(error.value) for word in words), error.value


def test_lines_are_counted_as_an_editor_counts_them(tmp_path):
    path = table(tmp_path / "t.csv", "sep=,\nframe,group\n\na,p\n")
    assert read_table(path, ("frame", "group")) == [{"frame": "a", "group": "p", "line": "4"}]


# --- groups of data sets ----------------------------------------------------------------------------------------------


def put(path: Path, mask: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[:4] = 255 if mask else 90
    Image.fromarray(pixels).save(path)


def data_set(folder: Path, *names: str) -> Path:
    for name in names:
        put(folder / f"images/{name}.png", False)
        put(folder / f"masks/{name}.png", True)
    return folder


def groups(folder: Path) -> dict[str, str]:
    return {frame.name: frame.group for frame in sources.find(folder, progress=False)}


def refused(folder: Path, *words: str) -> None:
    with pytest.raises(UserError) as error:
        groups(folder)
    assert "\n" not in str(error.value) and all(word in str(error.value) for word in words), error.value


def test_a_blank_or_an_umlaut_does_not_divide_a_patient(tmp_path):
    data_set(tmp_path, "a", "b", "c", "d")
    table(tmp_path / "groups.csv", f"frame,group\na,patientA\nb,patientA \nc,{UMLAUT}\nd,{APART}\n")
    assert groups(tmp_path) == {"a": "patientA", "b": "patientA", "c": UMLAUT, "d": UMLAUT}
    table(tmp_path / "groups.csv", "frame,group\na,P0\nb,p0\nc,x\nd,x\n")
    refused(tmp_path, "groups.csv", "'P0' (line 2)", "'p0' (line 3)")


def test_frames_are_found_in_either_unicode_form(tmp_path):
    data_set(tmp_path, APART, f"{UMLAUT}2")
    table(tmp_path / "groups.csv", f"frame,group\n{UMLAUT},p\n{APART}2,q\n")
    assert groups(tmp_path) == {UMLAUT: "p", f"{UMLAUT}2": "q"}


def test_folders_that_become_groups_are_names_too(tmp_path):
    data_set(tmp_path / "one", "video1/a", "video1 /b", "video2/c")
    assert groups(tmp_path / "one") == {"video1/a": "video1", "video1 /b": "video1", "video2/c": "video2"}
    refused(data_set(tmp_path / "two", "Video1/a", "video 1/b"), "'Video1' (frame Video1/a)", "'video 1'", "look alike")
    table(tmp_path / "two/groups.csv", "frame,group\nVideo1/a,x\nvideo 1/b,y\n")
    assert set(groups(tmp_path / "two").values()) == {"x", "y"}


def test_frames_by_themselves_may_look_alike(tmp_path):
    assert len(groups(data_set(tmp_path, "IMG_1", "img1", "1", "01"))) == 4


def test_two_frames_that_look_the_same_are_refused(tmp_path):
    refused(data_set(tmp_path, "a", "a "), "'a'", "'a '", "can't be seen")


def test_folders_of_videos_are_names_too(tmp_path):
    for name in ("a", "b"):
        for n in range(2):
            put(tmp_path / f"videos/{name} {UMLAUT}/{n}.png", False)
            put(tmp_path / f"masks/{name} {APART} /{n}.png", True)
    assert set(groups(tmp_path).values()) == {f"a {UMLAUT}", f"b {UMLAUT}"}
    (tmp_path / f"videos/b {UMLAUT}").rename(tmp_path / f"videos/A{UMLAUT}")
    (tmp_path / f"masks/b {APART} ").rename(tmp_path / f"masks/A{UMLAUT}")
    refused(tmp_path, "look alike")


@pytest.mark.parametrize(
    "name",
    [
        "Groups.csv",
        "groups.CSV",
        "groups.csv.txt",
        "group.csv",
        "groups.xlsx",
        "Group.tsv",
    ],
)
def test_a_table_under_a_name_that_is_not_read_is_not_passed_over(tmp_path, name):
    data_set(tmp_path, "a", "b")
    table(tmp_path / name, "frame,group\na,p\nb,p\n")
    refused(tmp_path, name, "only groups.csv is read", "save it as groups.csv")


@pytest.mark.parametrize("place", [".", "set/images"])
def test_a_table_in_another_folder_is_not_passed_over(tmp_path, place):
    data_set(tmp_path / "set", "a", "b")
    table(tmp_path / place / "groups.csv", "frame,group\na,p\nb,p\n")
    refused(tmp_path, "groups.csv: is not read there", str(tmp_path / "set/groups.csv"))


# --- splits.csv -------------------------------------------------------------------------------------------------------

FRAMES = [Frame(f"{g}/{i}", Path("x"), None, g) for g in ("v1", "v2", "v3", UMLAUT) for i in range(3)]


def test_splits_that_a_spreadsheet_saved_again_are_the_same(tmp_path):
    path = tmp_path / "splits.csv"
    splits = split_items(FRAMES, np.ones(len(FRAMES), bool))
    write_splits(path, splits)
    lines = path.read_text().splitlines()
    saved = "\r\n".join([lines[0].title(), *reversed(lines[1:])])
    table(path, "\ufeff" + saved.replace(",", " ;").replace("v1", "v1 "))
    found = read_splits(path, FRAMES)
    assert {split: set(found[split]) for split in SPLITS} == {split: set(splits[split]) for split in SPLITS}
    write_splits(path, splits)


def test_splits_with_groups_that_look_alike_are_refused(tmp_path):
    path = tmp_path / "splits.csv"
    table(path, "frame,group,split\na,P0,train\nb,p0,test\nc,x,val\n")
    with pytest.raises(UserError, match=r"'P0' \(line 2 of .*splits.csv\) and 'p0' \(line 3"):
        read_splits(path, [Frame(name, Path("x"), None, name) for name in "abc"])
    table(path, "frame,group,split\na,,train\nb,p0,test\nc,x,val\n")
    with pytest.raises(UserError, match="no empty field"):
        read_splits(path, [Frame(name, Path("x"), None, name) for name in "abc"])


def test_honest_groups_pass_unchanged():
    frames = [Frame(f"v/{g}", Path("x"), None, g) for g in ("P1", "P10", "1_12", "11_2", "seq1", "seq1_neg")]
    assert with_identifiers(frames) == frames
