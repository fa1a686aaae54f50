"""Preparation is shared: one process waits for another, and another request never proposes again."""

from __future__ import annotations

import fcntl
import threading
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from pycaffe_ext.applications import preparation
from pycaffe_ext.applications.folder import APPLICATION, Folder
from pycaffe_ext.applications.preparation import LOCK, prepare
from pycaffe_ext.data import fractions, pack, splits
from pycaffe_ext.errors import UserError
from pycaffe_ext.runs import summary
from pycaffe_ext.runs.settings import DataRequest
from pycaffe_ext.studies import study

SIZE = 20


@pytest.fixture
def data(tmp_path) -> Path:
    """Two classes of eight pictures that do not resemble each other."""
    for label in range(2):
        for number in range(8):
            coarse = np.random.default_rng(100 * label + number).integers(0, 256, (9, 12, 3), np.uint8)
            path = tmp_path / "images" / f"class{label}" / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), cv2.resize(coarse, (44, 30), interpolation=cv2.INTER_CUBIC))
    return tmp_path / "images"


def request(data: Path, **changes) -> DataRequest:
    return DataRequest("folder", str(data), **{"patches": 40, **changes})


def test_a_second_preparation_waits_for_the_first_and_uses_its_result(data, tmp_path):
    first = prepare(APPLICATION, request(data), SIZE, tmp_path / "runs")
    lines: list[str] = []
    waits, results = threading.Event(), []

    def say(line: str) -> None:
        lines.append(line)
        if "waiting" in line:
            waits.set()

    def second() -> None:
        results.append(prepare(APPLICATION, request(data), SIZE, tmp_path / "runs", say))

    with (first.found.folder / LOCK).open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # as another process does while it prepares
        thread = threading.Thread(target=second, daemon=True)
        thread.start()
        assert waits.wait(60) and "another process is preparing these data; waiting for it" in lines[-1]
        assert not results
    thread.join(60)
    assert results[0].packed == first.packed and len(lines) == 2, "which class is positive, and that it waits"


def test_another_packing_proposes_nothing_again(data, tmp_path, monkeypatch):
    first = prepare(APPLICATION, request(data), SIZE, tmp_path / "runs")
    monkeypatch.setattr(Folder, "propose", lambda *_: pytest.fail("samples were proposed again"))
    folders = {first.packed.folder}
    for changes in ({"patches": 60}, {"test_views": 3}, {"encoding": "png"}):
        again = prepare(APPLICATION, request(data, **changes), SIZE, tmp_path / "runs")
        assert again.packed.found == first.packed.found
        folders.add(again.packed.folder)
    folders.add(prepare(APPLICATION, request(data), SIZE + 8, tmp_path / "runs").packed.folder)  # another net's input
    assert len(folders) == 5


def test_other_data_or_another_seed_have_a_folder_of_their_own(data, tmp_path):
    first = prepare(APPLICATION, request(data), SIZE, tmp_path / "runs")
    other = prepare(APPLICATION, request(data, seed=1), SIZE, tmp_path / "runs")
    cv2.imwrite(str(data / "class0" / "0.png"), np.random.default_rng(9).integers(0, 256, (30, 44, 3)))
    changed = prepare(APPLICATION, request(data), SIZE, tmp_path / "runs")
    assert len({done.packed.found for done in (first, other, changed)}) == 3


def test_seeds_of_one_split_are_packed_once(data, tmp_path, monkeypatch):
    jobs = study.jobs("folder", ("scratch",), (0, 1, 2), data=str(data), patches=40, split_seed=0)
    assert len({job.name() for job in jobs}) == 3 and {job.request for job in jobs} == {jobs[0].request}
    first = prepare(APPLICATION, jobs[0].request, SIZE, tmp_path / "runs")
    monkeypatch.setattr("pycaffe_ext.applications.preparation._pack", lambda *_: pytest.fail("packed again"))
    for job in jobs[1:]:
        assert prepare(APPLICATION, job.request, SIZE, tmp_path / "runs").packed == first.packed


def test_folds_test_every_picture_once(data, tmp_path):
    jobs = study.jobs("folder", ("scratch",), (0,), data=str(data), patches=40, folds=4)
    tested = [prepare(APPLICATION, job.request, SIZE, tmp_path / "runs").test.items for job in jobs]
    assert len(tested) == 4 and sorted(name for own in tested for name in own) == sorted(
        f"class{label}/{number}" for label in range(2) for number in range(8)
    )


def test_what_is_set_aside_is_recorded(data, tmp_path):
    found = prepare(APPLICATION, request(data, tuning=0.3), SIZE, tmp_path / "runs")
    own = splits.tuning_items(found.found.items, 0.3)
    assert found.packed.tuning == {"share": 0.3, "groups": len(own), "items": len(own)}
    table = (found.packed.found / "splits.csv").read_text()
    assert own and all(f"{item.name},{item.group},train\n" in table for item in own)
    plain = prepare(APPLICATION, request(data), SIZE, tmp_path / "runs")
    assert plain.packed.tuning == {} and plain.packed.found != found.packed.found


@pytest.mark.parametrize("changes", [{"folds": 4, "fold": 1}, {"tuning": 0.3}])
def test_splits_that_the_user_fixed_are_not_drawn(data, tmp_path, changes):
    names = [path.relative_to(data).with_suffix("") for path in sorted(data.rglob("*.png"))]
    rows = [f"{name},{('train', 'val', 'test')[int(name.name) % 3]}" for name in names]
    (data / "splits.csv").write_text("\n".join(["frame,split", *rows]))
    name = next(iter(changes)).upper()
    with pytest.raises(UserError, match=f"{name}=.*: splits.csv of the data set fixes the splits"):
        prepare(APPLICATION, request(data, **changes), SIZE, tmp_path / "runs")


FRACTIONS = ("1/4", "1/2", "1")


def test_fractions_lie_within_each_other_and_share_all_but_the_training_patches(data, tmp_path, monkeypatch):
    done = {}
    for fraction in FRACTIONS:  # the smallest first: the others then find validation and test packed
        done[fraction] = prepare(APPLICATION, request(data, fraction=fraction), SIZE, tmp_path / "runs")
        monkeypatch.setattr(Folder, "propose", lambda *_: pytest.fail("samples were proposed again"))
    first = done["1"]
    groups = {f: {row["group"] for row in pack.read_index(own.packed.index("train"))} for f, own in done.items()}
    assert groups["1/4"] < groups["1/2"] < groups["1"]
    for fraction, own in done.items():
        every = first.packed.share["of"]
        wanted = fractions.count(every, Fraction(fraction))
        epoch = first.packed.patches["train"]
        share = {"share": fraction, "groups": wanted, "of": every, "patches": epoch, "drawn": len(groups[fraction])}
        assert own.packed.share == share
        assert own.packed.epoch_patches == epoch
        assert len(groups[fraction]) == wanted == own.packed.facts["train"]["groups"]
        assert own.packed.found == first.packed.found
        for split in ("val", "test"):
            assert (own.packed.lmdb(split) / "data.mdb").samefile(first.packed.lmdb(split) / "data.mdb")
            assert own.packed.index(split).samefile(first.packed.index(split))
        assert own.test.items == first.test.items and own.validation.items == first.validation.items
        assert np.array_equal(own.test.samples.label, first.test.samples.label)
    means = {own.packed.mean_file.read_bytes() for own in done.values()}
    assert len(means) == 3  # each of its own training patches
    assert len({own.packed.folder for own in done.values()}) == 3


def test_there_are_as_many_patches_a_group_as_from_all_data_and_as_many_of_each_class(data, tmp_path):
    patches = {f: prepare(APPLICATION, request(data, fraction=f), SIZE, tmp_path / "runs") for f in FRACTIONS}
    for own in patches.values():
        share = own.packed.share
        wanted = round(32 * share["groups"] / share["of"]) // 2
        assert own.packed.facts["train"]["patches"] == {"class0": wanted, "class1": wanted}
    assert {f: own.packed.share["groups"] for f, own in patches.items()} == {"1/4": 2, "1/2": 3, "1": 6}
    assert {f: own.packed.patches["train"] for f, own in patches.items()} == {"1/4": 10, "1/2": 16, "1": 32}


def test_the_groups_from_which_few_patches_are_drawn_are_counted(data, tmp_path, monkeypatch):
    monkeypatch.setattr(preparation, "limits", lambda *_: {"train": 4, "val": 4})
    own = prepare(APPLICATION, request(data), SIZE, tmp_path / "runs").packed
    groups = {row["group"] for row in pack.read_index(own.index("train"))}
    assert len(groups) == own.share["drawn"] < own.share["groups"]
    said = summary.share_text(own.share)
    assert said.endswith(f"(FRACTION=1), patches from {len(groups)} of them (PATCHES=)")
    old = {name: value for name, value in own.share.items() if name != "drawn"}
    assert summary.share_text(old).endswith("(FRACTION=1)")


def test_a_fraction_packed_after_the_whole_has_the_same_bytes(data, tmp_path):
    prepare(APPLICATION, request(data), SIZE, tmp_path / "whole-first")
    after = prepare(APPLICATION, request(data, fraction="1/2"), SIZE, tmp_path / "whole-first")
    alone = prepare(APPLICATION, request(data, fraction="1/2"), SIZE, tmp_path / "alone")
    for split in ("train", "val", "test"):
        mine, other = (own.packed.lmdb(split) / "data.mdb" for own in (after, alone))
        assert mine.read_bytes() == other.read_bytes()
    whole = prepare(APPLICATION, request(data), SIZE, tmp_path / "alone")  # finds two of three splits packed
    plain = prepare(APPLICATION, request(data), SIZE, tmp_path / "whole-first")
    assert whole.packed.patches == plain.packed.patches
    assert whole.packed.index("train").read_bytes() == plain.packed.index("train").read_bytes()


def test_a_disk_without_hard_links_gets_copies(data, tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(95, "no hard links here")

    monkeypatch.setattr("os.link", refuse)
    own = prepare(APPLICATION, request(data, fraction="1/2"), SIZE, tmp_path / "runs").packed
    there = preparation._packed_folder(
        prepare(APPLICATION, request(data, fraction="1/2"), SIZE, tmp_path / "runs").found, SIZE, "1"
    )
    mine, other = (pack.database_path(folder, "val") / "data.mdb" for folder in (own.folder, there))
    assert mine.read_bytes() == other.read_bytes() and not mine.samefile(other)


def test_what_is_set_aside_for_tuning_is_that_of_the_whole_at_every_fraction(data, tmp_path):
    whole, part = (
        prepare(APPLICATION, request(data, tuning=0.3, fraction=f), SIZE, tmp_path / "runs") for f in ("1", "1/4")
    )
    assert whole.packed.tuning == part.packed.tuning != {}


def test_a_fraction_that_loses_a_class_leaves_nothing_packed(data, tmp_path):
    with pytest.raises(UserError, match=r"FRACTION=1/20 leaves 1 of \d+ training groups, none of class class\d"):
        prepare(APPLICATION, request(data, fraction="1/20"), SIZE, tmp_path / "runs")
    assert not list((tmp_path / "runs" / "data").glob("*/packed-*"))


def test_a_fraction_is_in_the_name_and_one_share_has_one_name(data):
    jobs = [
        study.jobs("folder", ("scratch",), (0,), data=str(data), fraction=f)[0] for f in ("1/4", "0.25", "1", "1/2")
    ]
    names = [job.name() for job in jobs]
    assert names[0] == names[1] and len(set(names)) == 3
    assert names[2] == study.jobs("folder", ("scratch",), (0,), data=str(data))[0].name()
    assert jobs[0].record()["data"]["fraction"] == "1/4"
