"""Miniature layouts of data sets of informative and other frames, made as their authors distribute them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from class_folders_lab import draw, fill

from pycaffe_ext.data.fixed import fixed_splits
from pycaffe_ext.data.frame_sets import SOURCES, find, label_of
from pycaffe_ext.data.sources import describe
from pycaffe_ext.errors import UserError
from tools import data_help

TRACT = "labeled-images/lower-gi-tract"


def hyperkvasir(folder: Path) -> Path:
    names = [
        f"quality-of-mucosal-views/{kind}/{i}.jpg" for kind in ("bbps-0-1", "bbps-2-3", "impacted-stool") for i in "abc"
    ]
    names += ["anatomical-landmarks/cecum/a.jpg", "pathological-findings/polyps/a.jpg"]
    return fill(folder, *(f"{TRACT}/{name}" for name in names), "segmented-images/images/x.jpg")


def nerthus(folder: Path) -> Path:
    names = [f"{s}/bowel_{2 * s + v}_score_{s}-{v}_{n:08d}.jpg" for s in range(4) for v in (0, 1) for n in (1, 2)]
    return fill(folder, *(f"nerthus-dataset-frames/{name}" for name in names))


def labels(found) -> dict[str, int]:
    return {image.name: image.label for image in found.images}


def test_hyperkvasir(tmp_path):
    found = find(hyperkvasir(tmp_path))
    assert found.source.slug == "hyperkvasir-views"
    assert labels(found) == {
        **{f"bbps-0-1/{i}": 0 for i in "abc"},
        **{f"impacted-stool/{i}": 0 for i in "abc"},
        **{f"bbps-2-3/{i}": 1 for i in "abc"},
    }
    assert all(image.group == image.name for image in found.images)
    for inner in (f"{TRACT}/quality-of-mucosal-views", TRACT, "labeled-images"):
        assert labels(find(tmp_path / inner)) == labels(found)


def test_nerthus(tmp_path):
    found = find(nerthus(tmp_path))
    assert found.source.slug == "nerthus"
    assert Counter(labels(found).values()) == {0: 8, 1: 8}
    assert {image.group: image.label for image in found.images} == {f"bowel_{n}": int(n > 3) for n in range(8)}
    (tmp_path / "nerthus-dataset-frames/3/bowel_9_score_2-0_00000001.jpg").write_bytes(b"")
    with pytest.raises(UserError, match="bowel_9_score_2-0_00000001.jpg: frames in 3/ are called bowel_N_score_3"):
        find(tmp_path)


def test_class_folders_with_videos_in_them(tmp_path):
    names = [f"{kind}/v{v}/{n}.png" for kind in ("Informative", "non-informative") for v in range(3) for n in range(2)]
    found = find(fill(tmp_path, *names))
    assert found.source.slug == "frame-folders"
    assert {image.group for image in found.images} == {"v0", "v1", "v2"}
    assert labels(found)["Informative/v0/0"] == 1
    fill(tmp_path, "maybe/1.png")
    with pytest.raises(UserError, match="maybe: neither informative nor uninformative by its name"):
        find(tmp_path)


def test_a_table_of_labels(tmp_path):
    fill(tmp_path, *(f"v{v}/{n}.png" for v in range(3) for n in range(3)))
    lines = [f"v{v}/{n}.png;{'good' if n else 'Non-informative'};patient {v}" for v in range(3) for n in range(2)]
    (tmp_path / "my labels.csv").write_text("\n".join(["Frame;Label;Group", *lines]))
    found = find(tmp_path)
    assert found.source.slug == "frame-table"
    assert labels(found) == {f"v{v}/{n}": n for v in range(3) for n in range(2)}
    assert {image.group for image in found.images} == {"patient 0", "patient 1", "patient 2"}
    without = [line.rpartition(";")[0] for line in lines]
    (tmp_path / "my labels.csv").write_text("\n".join(["frame;label", *without]))
    assert {image.group for image in find(tmp_path).images} == {"v0", "v1", "v2"}


@pytest.mark.parametrize(("start", "encoding"), [("", "utf-16"), ("sep=;\n", "utf-8"), ("\n", "utf-8-sig")])
def test_a_table_of_labels_beside_class_folders_as_spreadsheets_save_it(start, encoding, tmp_path):
    """It wins over the folders' names in every form that tables are read in."""
    names = [f"{kind}/{i}" for kind in ("informative", "uninformative") for i in range(4)]
    fill(tmp_path, *(f"{name}.png" for name in names))
    lines = [f"{name};{int(name[-1]) % 2};{name}" for name in names]
    (tmp_path / "labels.csv").write_text(start + "\n".join(["frame;label;group", *lines]), encoding=encoding)
    assert labels(find(tmp_path)) == {name: int(name[-1]) % 2 for name in names}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("v9/9,1", "labels.csv: no such picture: v9/9"),
        ("v0/2,perhaps", "labels.csv: line 8: label 'perhaps' is not known; write informative = good"),
        ("v0/2,", "line 8 lacks its label"),
        ("v0/0,1", "listed twice"),
    ],
)
def test_a_table_that_does_not_fit(line, words, tmp_path):
    fill(tmp_path, *(f"v{v}/{n}.png" for v in range(3) for n in range(3)))
    lines = [f"v{v}/{n},{n}" for v in range(3) for n in range(2)]
    (tmp_path / "labels.csv").write_text("\n".join(["frame,label", *lines, line]))
    with pytest.raises(UserError, match=words):
        find(tmp_path)


def test_two_tables_and_other_folders_are_refused(tmp_path):
    fill(tmp_path / "two", "1.png")
    for name in ("a.csv", "b.csv"):
        (tmp_path / "two" / name).write_text("frame,label\n1,1\n")
    with pytest.raises(UserError, match="b.csv: has labels, as a.csv does"):
        find(tmp_path / "two")
    with pytest.raises(UserError, match=r"other: holds x/; expected informative/ and uninformative/"):
        find(fill(tmp_path / "other", "x/1.png"))
    with pytest.raises(UserError, match="no such folder"):
        find(tmp_path / "none")
    with pytest.raises(UserError, match="unknown data set 'nertus'; did you mean 'nerthus'"):
        find(tmp_path, "nertus")


def test_the_users_groups_and_splits_win(tmp_path):
    nerthus(tmp_path)
    home = tmp_path / "nerthus-dataset-frames"
    names = [image.name for image in find(tmp_path).images]
    lines = [f"{name},p{i % 4}" for i, name in enumerate(names)]
    (home / "groups.csv").write_text("\n".join(["frame,group", *lines]))
    assert {image.group for image in find(tmp_path).images} == {"p0", "p1", "p2", "p3"}
    lines = [f"{name},{('train', 'val', 'test', 'test')[i % 4]}" for i, name in enumerate(names)]
    (home / "splits.csv").write_text("\n".join(["frame,split", *lines]))
    fixed = fixed_splits(find(tmp_path).images)
    assert {split: len(part) for split, part in fixed.items()} == {"train": 4, "val": 4, "test": 8}


def test_few_groups_are_named(tmp_path):
    names = [f"{kind}/v{v}/{n}.png" for kind in ("good", "bad") for v in range(2) for n in range(4)]
    with pytest.raises(UserError, match="class 'uninformative' has 8 pictures in 2 groups"):
        find(fill(tmp_path, *names))


def test_labels_in_words():
    assert [label_of(word, "x") for word in ("1", "Informative", "CLEAR", "0", "non informative", "Blurred")] == [
        1,
        1,
        1,
        0,
        0,
        0,
    ]


def test_links_from_one_class_to_another_are_refused(tmp_path):
    fill(tmp_path, *(f"{name}/{i}.png" for name in ("good", "bad") for i in range(3)))
    (tmp_path / "good" / "loop").symlink_to("..")
    with pytest.raises(UserError, match="good/loop: a symbolic link to .* class folder bad/"):
        find(tmp_path)


def test_every_source_is_described():
    for slug, source in SOURCES.items():
        lines = describe(source).splitlines()
        assert lines[0].startswith(slug)
        assert max(map(len, lines)) <= 100


@pytest.mark.parametrize(("folder", "kind"), [("a", "class-folders"), ("good", "frame-folders")])
def test_data_help_says_which_classes_a_folder_holds(folder, kind, tmp_path, capsys, monkeypatch):
    fill(tmp_path / kind, *(f"{name}/{i}.png" for name in (folder, "bad") for i in range(3)), "loose.png")
    monkeypatch.setattr("sys.argv", ["data_help.py", "--data", str(tmp_path / kind)])
    data_help.main()
    text = capsys.readouterr().out
    assert text.startswith(f"{kind}: ")
    assert f"{kind} is {kind}:\n6 pictures, 3 " in text
    assert text.endswith("left out of pictures and videos: 1 in the folder itself (loose.png)\n")
    assert ("positive: bad (the second" in text) == (kind == "class-folders")
    for name in (folder, "bad"):
        draw(tmp_path / kind / f"{name}/7.png")
    data_help.main()
    pair = " = ".join(f"{name}/7.png" for name in sorted((folder, "bad")))
    assert f"different classes: {pair}; check the labels" in capsys.readouterr().out
