"""Class folders: classes, names, groups, splits, and what is refused."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from class_folders_lab import PNG, fill

from pycaffe_ext.data import class_folders
from pycaffe_ext.data.fixed import fixed_splits
from pycaffe_ext.data.sources.listing import not_taken
from pycaffe_ext.errors import UserError

RADIOGRAPHS = Path(__file__).parents[3] / "shared" / "data" / "chest-xray"


def make(folder: Path, *classes: str, each: int = 3) -> Path:
    return fill(folder, *(f"{name}/{i}.png" for name in classes for i in range(each)))


def groups(found) -> dict[str, str]:
    return {image.name: image.group for image in found.images}


def refused(folder: Path) -> str:
    with pytest.raises(UserError) as error:
        class_folders.read(folder)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_classes_are_the_sorted_folders_and_each_picture_is_its_own_group(tmp_path):
    make(tmp_path, "b", "a", "c d", each=3)
    found = class_folders.read(tmp_path)
    assert found.classes == ("a", "b", "c d") == class_folders.class_names(tmp_path)
    assert groups(found) == {f"{name}/{i}": f"{name}/{i}" for name in found.classes for i in range(3)}
    assert {image.name: image.label for image in found.images}["c d/1"] == 2
    assert {image.source for image in found.images} == {tmp_path.name}


def test_the_only_sub_folder_may_hold_the_classes(tmp_path):
    make(tmp_path / "unpacked", "a", "b")
    assert class_folders.read(tmp_path).folder == tmp_path / "unpacked"


def test_names_with_blanks_umlauts_and_bytes_that_are_no_utf_8(tmp_path):
    make(tmp_path, "Gesund 1", "krank\u00e4", each=2)
    fill(tmp_path, "Gesund 1/ein Bild (2).png", "krank\u00e4/a\u0308.png")  # two characters for one letter
    strange = os.fsdecode(b"\xff\xfe.png")
    fill(tmp_path, f"krank\u00e4/{strange}")
    found = class_folders.read(tmp_path)
    assert {"Gesund 1/ein Bild (2)", "krank\u00e4/\u00e4", f"krank\u00e4/{strange[:-4]}"} <= groups(found).keys()
    assert all(image.path.exists() for image in found.images)


def test_pictures_of_one_name_keep_their_endings(tmp_path):
    fill(make(tmp_path, "a", "b"), "a/0.jpg")
    assert {"a/0.png", "a/0.jpg", "a/1"} <= groups(class_folders.read(tmp_path)).keys()


def test_two_pictures_never_share_a_name(tmp_path):
    fill(make(tmp_path, "a", "b"), "a/0.tif", "a/0.png.png", "a/sub/0.png", "a/sub/1.png", "a/2.png.jpg")
    found = class_folders.named_pictures(tmp_path / "a")
    assert set(found) == {"0.png", "0.tif", "0.png.png", "1", "2", "2.png", "sub/0", "sub/1"}
    fill(tmp_path, "b/\u00e4.png", "b/a\u0308.png")
    assert "differ only in what can't be seen" in refused(tmp_path)


@pytest.mark.parametrize(("positive", "last"), [("", "normal"), ("lesion", "lesion"), ("normal", "normal")])
def test_the_positive_class_of_two_is_the_last(positive, last, tmp_path):
    make(tmp_path, "lesion", "normal")
    found = class_folders.read(tmp_path, positive=positive)
    assert found.classes == class_folders.class_names(tmp_path, positive) and found.classes[1] == last
    assert {image.kind for image in found.images if image.label == 1} == {last}
    assert [image.name for image in found.images] == sorted(image.name for image in found.images)
    why = "POSITIVE=" if positive else "the second by alphabet; POSITIVE= chooses"
    assert class_folders.positive_text(found.classes, positive) == f"positive: {last} ({why})"


def test_a_positive_class_is_one_of_two(tmp_path):
    make(tmp_path, "lesion", "normal")
    with pytest.raises(UserError, match="^POSITIVE=lesoin: no class of .*; its classes: lesion, normal$"):
        class_folders.class_names(tmp_path, "lesoin")
    make(tmp_path, "other")
    with pytest.raises(UserError, match="^POSITIVE=other: of two classes only; .* has 3: lesion, normal, other$"):
        class_folders.read(tmp_path, positive="other")
    assert class_folders.positive_text(class_folders.class_names(tmp_path)) == ""


@pytest.mark.parametrize(
    ("link", "target", "words"),
    [
        ("pos/loop", "..", "which is or holds the class folder neg/; its pictures would be of class pos too"),
        ("pos/more", "../neg", "which is or holds the class folder neg/"),
        ("pos/more", "../neg/p1", "which is in the class folder neg/"),
        ("pos/away/back", "../set/neg", "which is or holds the class folder neg/"),
        ("pos/p1/loop", "..", "a folder that it lies in"),
        ("pos/away/loop", ".", "a folder that it lies in"),
        ("third", "neg", "which is or holds the class folder"),
    ],
)
def test_links_that_lead_in_a_circle_or_to_another_class_are_refused(link, target, words, tmp_path):
    home = fill(tmp_path / "set", *(f"{kind}/p{i}/1.png" for kind in ("neg", "pos") for i in range(1, 4)))
    fill(tmp_path, "away/1.png")
    (home / "pos" / "away").symlink_to(tmp_path / "away")
    assert len(class_folders.read(home).images) == 7, "a link to any other place is taken"
    (home / link).symlink_to(target)
    assert words in refused(home) and "a symbolic link to /" in refused(home)


def test_a_class_folder_may_be_a_link(tmp_path):
    home = make(tmp_path / "set", "neg")
    (home / "pos").symlink_to(make(tmp_path / "disk", "pos") / "pos")
    assert class_folders.read(home).classes == ("neg", "pos")


@pytest.mark.parametrize("link", ["pos", "a/9.png", "a/patient", "groups.csv", "splits.csv"])
def test_links_to_nothing_are_called_that(link, tmp_path):
    (make(tmp_path, "a", "b") / link).symlink_to(tmp_path / "gone")
    assert f"{link}: a symbolic link whose target, {tmp_path}/gone, is missing" in refused(tmp_path)


def test_what_systems_leave_is_passed_over_and_counted(tmp_path):
    fill(make(tmp_path, "a", "b"), ".cache/1.png", "@eaDir/x.png", "a/.thumb.png", "a/thumbnails/1.png", "loose.png")
    (tmp_path / "a" / "Thumbs.db").write_text("")
    found = class_folders.read(tmp_path)
    assert len(found.images) == 6
    left = not_taken(tmp_path, [image.path for image in found.images])
    assert {(one.kind, one.files) for one in left} == {
        ("in .cache/", 1),
        ("in @eaDir/", 1),
        ("hidden", 1),
        ("in thumbnails/", 1),
        ("in the folder itself", 1),
    }


def test_a_sub_folder_of_a_class_is_a_patient_in_all_classes(tmp_path):
    names = [f"{kind}/{patient}/{i}.png" for kind in "ab" for patient in ("p1", "p2", "p3") for i in range(2)]
    found = class_folders.read(fill(tmp_path, *names, "a/p1/visit2/9.png", "a/alone.png"))
    of = groups(found)
    assert of["a/p1/0"] == of["b/p1/1"] == of["a/p1/visit2/9"] == "p1"
    assert of["b/p2/0"] == "p2"
    assert of["a/alone"] == "a/alone"


def test_a_single_folder_in_a_class_is_no_patient(tmp_path):
    names = [f"{kind}/images/{i}.png" for kind in "ab" for i in range(3)]
    assert groups(class_folders.read(fill(tmp_path, *names)))["a/0"] == "a/0"


@pytest.mark.parametrize("form", ["{kind}/{i}", "{kind}/{i}.png", "{kind}{i}", "{kind}{i}.png"])
def test_groups_come_from_the_table_however_pictures_are_called_in_it(form, tmp_path):
    short = "/" not in form
    for kind in "ab":
        fill(tmp_path, *(f"{kind}/{kind if short else ''}{i}.png" for i in range(3)))
    lines = [f"{form.format(kind=kind, i=i)},patient {i}" for kind in "ab" for i in range(3)]
    (tmp_path / "groups.csv").write_text("frame,group\n" + "\n".join(lines))
    assert set(groups(class_folders.read(tmp_path)).values()) == {"patient 0", "patient 1", "patient 2"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda lines: lines[:-1], "groups.csv: no line for b/2;"),
        (lambda lines: [*lines, "b/7,p"], "groups.csv: no such picture: b/7;"),
        (lambda lines: [*lines, "b/2,p"], "line 8: 'b/2' is listed twice .line 7"),
        (lambda lines: [*lines[:-1], "b/2,"], "line 7 lacks its group"),
        (lambda lines: [*lines[:-1], "b/2,P 1"], "'p1' .* and 'P 1' .* look alike"),
    ],
    ids=["missing", "unknown", "twice", "empty", "alike"],
)
def test_a_table_of_groups_that_does_not_fit(change, words, tmp_path):
    lines = [f"{kind}/{i},p{i}" for kind in "ab" for i in range(3)]
    (make(tmp_path, "a", "b") / "groups.csv").write_text("\n".join(["frame,group", *change(lines)]))
    with pytest.raises(UserError, match=words):
        class_folders.read(tmp_path)


@pytest.mark.parametrize(("kind", "header"), [("groups", "picture,patient"), ("groups", "name,group"), ("splits", "a")])
def test_tables_with_another_header_are_told_the_whole_one(kind, header, tmp_path):
    (make(tmp_path, "a", "b") / f"{kind}.csv").write_text(f"{header}\na/0,p\n")
    wanted = f"needs the header `frame,{kind[:-1]}`, and a line for every picture"
    assert refused(tmp_path) == f"{tmp_path}/{kind}.csv: {wanted}"


def test_a_table_of_groups_elsewhere_is_refused(tmp_path):
    (make(tmp_path, "a", "b") / "a" / "groups.csv").write_text("frame,group\n")
    assert "a/groups.csv: is not read there; move it to" in refused(tmp_path)


def test_a_lone_patient_of_another_class_is_not_looked_through(tmp_path):
    fill(tmp_path, *(f"normal/p1/{i}.png" for i in range(3)), *(f"lesion/p{i}/1.png" for i in range(1, 4)))
    fill(tmp_path, *(f"other/all/p{i}/1.png" for i in range(1, 4)))
    (tmp_path / "splits.csv").write_text(
        "frame,split\n"
        + "".join(f"normal/p1/{i},train\n" for i in range(3))
        + "".join(
            f"{kind}/p{i}/1,{('train', 'val', 'test')[i - 1]}\n" for kind in ("lesion", "other") for i in (1, 2, 3)
        )
    )
    found = groups(class_folders.read(tmp_path))
    assert {name: group for name, group in found.items() if "p1" in name} == {
        **{f"normal/p1/{i}": "p1" for i in range(3)},
        "lesion/p1/1": "p1",
        "other/p1/1": "p1",
    }


def test_a_folder_that_every_class_has_alone_is_looked_through(tmp_path):
    fill(tmp_path, *(f"{kind}/images/{i}.png" for kind in "ab" for i in range(3)))
    assert groups(class_folders.read(tmp_path)) == {f"{kind}/{i}": f"{kind}/{i}" for kind in "ab" for i in range(3)}


def test_a_table_of_groups_in_a_class_of_patients_is_refused(tmp_path):
    for kind in "ab":
        fill(tmp_path, *(f"{kind}/video{i}/1.png" for i in range(3)))
    (tmp_path / "a" / "groups.csv").write_text("frame,group\n")
    assert "a/groups.csv: is not read there; move it to" in refused(tmp_path)


@pytest.mark.parametrize("name", ["Splits.csv", "split.csv", "splits.tsv", "splits.csv.csv", "splits.xlsx"])
def test_a_table_of_splits_by_another_name_is_refused(name, tmp_path):
    (make(tmp_path, "a", "b") / name).write_text("frame,split\n")
    assert f"{name}: only splits.csv is read; save it as splits.csv" in refused(tmp_path)


def test_a_table_of_splits_above_the_classes_is_refused(tmp_path):
    make(tmp_path / "set", "a", "b")
    (tmp_path / "splits.csv").write_text("frame,split\n")
    assert "splits.csv: is not read there; move it to" in refused(tmp_path)


def splits(folder: Path, header: str, lines: list[str]) -> None:
    (folder / "splits.csv").write_text("\n".join([header, *lines]))


def test_splits_are_fixed_by_the_table(tmp_path):
    names = [f"{kind}/{i}" for kind in "ab" for i in range(3)]
    words = ("Train", "validation", "test")
    splits(make(tmp_path, "a", "b"), "file,split", [f"{name}.png,{words[int(name[-1])]}" for name in names])
    found = class_folders.read(tmp_path)
    fixed = fixed_splits(found.images)
    assert {split: [image.name for image in part] for split, part in fixed.items()} == {
        split: [f"a/{i}", f"b/{i}"] for i, split in enumerate(("train", "val", "test"))
    }
    assert groups(found)["a/0"] == "a/0"
    splits(tmp_path, "frame,group,split", [f"{name},p{name[-1]},{words[int(name[-1])]}" for name in names])
    assert set(groups(class_folders.read(tmp_path)).values()) == {"p0", "p1", "p2"}


@pytest.mark.parametrize(
    ("word", "words"),
    [("later", "line 7: split 'later' must be one of train, val, test"), ("train", "no picture in test")],
)
def test_splits_that_do_not_do(word, words, tmp_path):
    lines = [f"{kind}/{i},{('train', 'val', 'train')[i]}" for kind in "ab" for i in range(3)]
    splits(make(tmp_path, "a", "b"), "frame,split", [*lines[:-1], f"b/2,{word}"])
    with pytest.raises(UserError, match=words):
        class_folders.read(tmp_path)


def test_a_group_in_two_splits_names_the_tables(tmp_path):
    names = [f"{kind}/{i}" for kind in "ab" for i in range(3)]
    words = ("train", "val", "test")
    splits(make(tmp_path, "a", "b"), "frame,split", [f"{name},{words[int(name[-1])]}" for name in names])
    (tmp_path / "groups.csv").write_text(
        "\n".join(["frame,group", *(f"{name},g{max(1, int(name[-1]))}" for name in names)])
    )
    assert refused(tmp_path) == (
        f"{tmp_path}/splits.csv: group 'g1' is both in train (a/0) and in val (a/1); give all of it one split there, or"
        " other groups in groups.csv"
    )


def test_without_a_table_no_split_is_fixed(tmp_path):
    assert fixed_splits(class_folders.read(make(tmp_path, "a", "b")).images) is None


def test_what_a_run_depends_on_is_in_the_content(tmp_path):
    image = class_folders.read(make(tmp_path, "a", "b")).images[0]
    changed = [replace(image, **one) for one in ({"name": "x"}, {"group": "x"}, {"label": 5}, {"split": "test"})]
    assert len({one.content() for one in (image, *changed)}) == 5
    image.path.write_bytes(PNG + b"x")
    assert image.content() != replace(image, path=tmp_path / "a" / "1.png").content()


def test_a_class_with_too_few_groups_is_named(tmp_path):
    make(tmp_path, "a", "b")
    fill(tmp_path, "rare one/1.png", "rare one/2.png")
    assert "class 'rare one' has 2 pictures in 2 groups" in refused(tmp_path)
    fill(tmp_path, "rare one/3.png", "rare one/4.png")
    lines = [f"{kind}/{i},{kind}{i}" for kind in "ab" for i in range(3)]
    lines += [f"rare one/{i},{'one' if i < 3 else 'other'}" for i in range(1, 5)]
    (tmp_path / "groups.csv").write_text("\n".join(["frame,group", *lines]))
    assert "class 'rare one' has 4 pictures in 2 groups" in refused(tmp_path)


def test_other_folders_hear_what_was_expected_and_what_was_found(tmp_path):
    expected = "expected a sub-folder for each of 2 to 100 classes"
    assert "no such folder" in refused(tmp_path / "none")
    assert "is a file" in refused(fill(tmp_path, "a.png") / "a.png")
    assert f"{expected}, with its pictures in it; found 0 sub-folders and 1 pictures beside" in refused(tmp_path)
    one = make(tmp_path / "one", "a")
    assert "found one sub-folder, a/, and 0 pictures beside" in refused(one)
    many = fill(tmp_path / "many", *(f"{i}/1.png" for i in range(101)))
    assert "found 101 sub-folders" in refused(many)
    (make(tmp_path / "bare", "a", "b") / "c").mkdir()
    assert "bare/c: no picture in it" in refused(tmp_path / "bare")
    polyps = make(tmp_path / "polyps", "images", "masks")
    assert "holds images/ and masks/, a set for `make polyp`" in refused(polyps)
    parts = fill(tmp_path / "parts", *(f"{part}/{kind}/1.png" for part in ("train", "test") for kind in "ab"))
    assert "test/, train/ are splits, not classes" in refused(parts)
    alike = make(tmp_path / "alike", "class 1", "Class1")
    assert "look alike" in refused(alike)


def test_files_that_can_not_be_read_are_refused(tmp_path):
    (make(tmp_path, "a", "b") / "a" / "scan.dcm").write_bytes(b"x")
    assert "a/scan.dcm: files ending in .dcm are not read here" in refused(tmp_path)
    (tmp_path / "a" / "scan.dcm").rename(tmp_path / "a" / "scan.xyz")
    assert "a/scan.xyz: files ending in .xyz are not read here" in refused(tmp_path)


@pytest.mark.skipif(not RADIOGRAPHS.exists(), reason="needs shared/data/chest-xray beside the project")
def test_the_radiographs():
    found = class_folders.read(RADIOGRAPHS)
    assert found.classes == ("NORMAL", "PNEUMONIA")
    assert np.bincount([image.label for image in found.images]).tolist() == [234, 390]
    assert found.images[0].picture().ndim == 3
