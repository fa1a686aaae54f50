"""A finished run applied to data without labels: its test pictures get its test's scores; wrong data get one line."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from pycaffe_ext.applications.polyp import APPLICATION
from pycaffe_ext.data.columns import read_columns
from pycaffe_ext.errors import UserError
from pycaffe_ext.evaluation.metrics.detection import SCORE_KINDS
from pycaffe_ext.evaluation.words import Words
from pycaffe_ext.report.overlay import draw_boxes, with_caption
from pycaffe_ext.runs import predict as module
from pycaffe_ext.runs.predict import predict
from pycaffe_ext.runs.settings import Machine


def rows_of(table: Path) -> list[dict[str, str]]:
    with table.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def run(miniature_run) -> Path:
    return miniature_run / "runs" / "first"


@pytest.fixture(scope="module")
def predicted(run, miniature, tmp_path_factory) -> Path:
    """The pictures of the data set, without their masks, in slices of a few."""
    folder = tmp_path_factory.mktemp("predicted")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "SLICE", 100)
        return predict(run, miniature / "images", folder / "out", Machine(), say=lambda line: None)


@pytest.mark.slow
def test_test_pictures_get_the_scores_of_the_test(run, predicted):
    rows = {(row["frame"], int(row["candidate"])): row for row in rows_of(predicted / "predictions.csv")}
    scores = read_columns(run / "scores.csv", dict(zip(Words().score_header, SCORE_KINDS, strict=True)))
    names = list(zip(scores["frame"].tolist(), scores["candidate"].tolist(), strict=True))
    assert len(names) > 20 and set(names) <= rows.keys()
    probability = np.array([float(rows[name]["probability of polyp"]) for name in names])
    np.testing.assert_allclose(probability, scores["probability"], atol=1e-4)  # Caffe logs six digits
    np.testing.assert_array_equal([float(rows[name]["score"]) for name in names], scores["detector"])
    for row in rows.values():
        chances = [float(row[f"probability of {kind}"]) for kind in ("no polyp", "polyp")]
        assert sum(chances) == pytest.approx(1) and float(row["w"]) > 0


@pytest.mark.slow
def test_every_picture_has_an_overlay_of_its_own_size(predicted, miniature):
    pictures = sorted((miniature / "images").rglob("*.jpg"))
    drawn = sorted((predicted / "overlays").rglob("*.png"))
    assert [path.stem for path in drawn] == [path.stem for path in pictures] and len(drawn) == 24
    changed = 0
    for picture, overlay in zip(pictures, drawn, strict=True):
        before, after = cv2.imread(str(picture)), cv2.imread(str(overlay))
        assert before.shape == after.shape
        changed += bool(np.abs(before.astype(int) - after).max() > 60)
    assert changed > 12


@pytest.mark.slow
def test_a_video_becomes_an_annotated_video(run, miniature, tmp_path):
    video = tmp_path / "clip.avi"
    frames = [cv2.imread(str(path)) for path in sorted((miniature / "images").rglob("*.jpg"))[:3]]
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter_fourcc(*"MJPG"), 10, frames[0].shape[1::-1])
    for frame in frames:
        writer.write(frame)
    writer.release()
    out = predict(run, video, tmp_path / "out", Machine(threads=1), say=lambda line: None)
    assert {row["frame"].split("/")[0] for row in rows_of(out / "predictions.csv")} == {"clip"}
    capture = cv2.VideoCapture(str(out / "overlays" / "clip.mp4"))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 3 and capture.get(cv2.CAP_PROP_FPS) == pytest.approx(10)


@pytest.mark.slow
def test_wrong_input_is_one_line_and_leaves_nothing(run, tmp_path):
    (tmp_path / "text.txt").write_text("no picture")
    (tmp_path / "empty").mkdir()
    cases = [
        (tmp_path / "nowhere", run, "no such file or folder"),
        (tmp_path / "text.txt", run, "neither a picture nor a video"),
        (tmp_path / "empty", run, "no image in it"),
        (tmp_path / "empty", tmp_path, "no finished run"),
    ]
    for data, folder, words in cases:
        with pytest.raises(UserError, match=words) as error:
            predict(folder, data, tmp_path / "out", Machine(), say=lambda line: None)
        assert "\n" not in str(error.value) and not (tmp_path / "out").exists()
    cv2.imwrite(str(tmp_path / "empty" / "black.png"), np.zeros((90, 120, 3), np.uint8))
    with pytest.raises(UserError, match="no candidate in 1 frames"):
        predict(run, tmp_path / "empty", tmp_path / "out", Machine(), say=lambda line: None)
    with pytest.raises(UserError, match="is there already"):
        predict(run, tmp_path / "empty", tmp_path, Machine(), say=lambda line: None)
    shutil.copytree(run, tmp_path / "copy")
    cv2.imwrite(str(tmp_path / "empty" / "noise.png"), np.random.default_rng(0).integers(0, 255, (144, 176, 3)))
    damaged = bytearray((run / "best.caffemodel").read_bytes())
    damaged[len(damaged) // 2] ^= 1  # one bit
    (tmp_path / "copy" / "best.caffemodel").write_bytes(damaged)
    with pytest.raises(UserError, match=r"best.caffemodel is not what was tested \(its sha256 is another"):
        predict(tmp_path / "copy", tmp_path / "empty" / "noise.png", tmp_path / "out", Machine(), say=lambda line: None)
    (tmp_path / "copy" / "best.caffemodel").unlink()
    with pytest.raises(UserError, match="best.caffemodel is missing"):
        predict(tmp_path / "copy", tmp_path / "empty" / "noise.png", tmp_path / "out", Machine(), say=lambda line: None)


def test_the_masks_of_a_data_set_are_not_predicted_for(miniature, tmp_path):
    """Of a folder that is recognised the frames are taken, of any other all pictures."""
    frames = module.sources_of(miniature, tmp_path, APPLICATION).pictures
    assert len(frames) == 24 and all("images" in path.parts for _, path in frames)
    loose = module.sources_of(miniature / "masks", tmp_path, APPLICATION).pictures
    assert len(loose) == 24 and all("masks" in path.parts for _, path in loose)


def test_boxes_are_drawn_where_they_are():
    picture = np.zeros((200, 300, 3), np.uint8)
    boxes = np.array([[20, 30, 50, 60], [150, 100, 40, 30]], np.float32)
    drawn = draw_boxes(picture, boxes, np.array([0.9, 0.2]), 0.5)
    assert drawn[60, 20].any() and not drawn[110:130, 150].any() and not picture.any()
    only = draw_boxes(picture, boxes[1:], np.array([0.2]), 0.5)
    assert only[115, 150].any()  # the best one, although it stays below
    assert with_caption(picture, ["a", "b"]).shape[0] > 200
