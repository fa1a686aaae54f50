"""Preparation is shared: one process waits for another, and another request never proposes again."""

from __future__ import annotations

import fcntl
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from pycaffe_ext.applications.folder import APPLICATION, Folder
from pycaffe_ext.applications.preparation import LOCK, prepare
from pycaffe_ext.data import splits
from pycaffe_ext.errors import UserError
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
        waits.set()

    def second() -> None:
        results.append(prepare(APPLICATION, request(data), SIZE, tmp_path / "runs", say))

    with (first.found.folder / LOCK).open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # as another process does while it prepares
        thread = threading.Thread(target=second, daemon=True)
        thread.start()
        assert waits.wait(60) and "another process is preparing these data; waiting for it" in lines[0]
        assert not results
    thread.join(60)
    assert results[0].packed == first.packed and len(lines) == 1


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
