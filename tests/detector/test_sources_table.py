"""The table of what the detector reaches on several data sets: whose frames are counted, and by which size."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from pycaffe_ext.commands import detector_curve
from pycaffe_ext.data import synthetic
from pycaffe_ext.detector import away
from pycaffe_ext.errors import UserError

DISCS = (((60, 60), 5), ((200, 70), 12), ((100, 170), 22), ((250, 170), 40))  # centre x, y and radius, of 320 x 240


def write_set(folder: Path, count: int) -> Path:
    """Frames without a surround, each with polyps of 3, 8, 14 and 25 % of its width."""
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for i in range(count):
        image, mask = np.full((240, 320, 3), 120, np.uint8), np.zeros((240, 320), np.uint8)
        for centre, radius in DISCS:
            cv2.circle(mask, centre, radius, 255, -1)
        cv2.imwrite(str(folder / "images" / f"f{i}.png"), image)
        cv2.imwrite(str(folder / "masks" / f"f{i}.png"), mask)
    return folder


@pytest.fixture
def without_detectors(monkeypatch):
    """No world is drawn and no detector trained; the candidates are the two largest polyps, and ten misses first."""
    miss, hit = ([[5, 5, 4, 4, 1]] * 10, [[x - 3, y - 3, 6, 6, 0.5] for (x, y), _ in DISCS[2:]])
    asked = []

    def found(frames, others, seed):
        asked.append(({frame.source for frame in frames}, {frame.source for frame in others}))
        return {"home": [np.float32(hit + miss)] * len(frames), "away": [np.float32(miss + hit)] * len(frames)}

    monkeypatch.setattr(synthetic, "WORLDS", {})
    monkeypatch.setattr(away, "_found", found)
    return asked


def test_every_source_is_left_out_once_and_polyps_are_counted_by_their_size(tmp_path, without_detectors, capsys):
    one, two = write_set(tmp_path / "one", 2), write_set(tmp_path / "two", 3)
    detector_curve.main([f"--data={one}:{two}", f"--runs={tmp_path}", f"--out={tmp_path / 'out'}"])
    assert without_detectors == [({"plain"}, {"two"}), ({"two"}, {"plain"})]
    rows = [line.split(",") for line in (tmp_path / "out" / "sources.csv").read_text().split()]
    assert rows[0] == list(away.Reached._fields)
    assert [row[:4] for row in rows[1:]] == [
        ["plain", "home", "2", "8"],
        ["plain", "away", "2", "8"],
        ["two", "home", "3", "12"],
        ["two", "away", "3", "12"],
    ]
    at_home, elsewhere = ([float(value) for value in row[4:]] for row in rows[1:3])
    assert at_home == [0.5, 0.5, 0.5, 0, 0, 1, 1]  # at 5, 10, 20; then by size at 10
    assert elsewhere == [0, 0, 0.5, 0, 0, 0, 0]
    assert "plain, home: 8 polyps in 2 frames; 0.500 at 5" in capsys.readouterr().out


def test_two_folders_of_one_name_are_refused(tmp_path, without_detectors):
    folders = [write_set(tmp_path / name / "same", 2) for name in "abc"]
    with pytest.raises(UserError, match="rename"):
        away.table(folders, None, 0, tmp_path)
