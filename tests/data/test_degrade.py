"""Degradations of a frame: each does what its name says, to the picture and not to its border."""

from __future__ import annotations

import csv

import cv2
import numpy as np
import pytest

from pycaffe_ext.data.synthetic import render_video
from pycaffe_ext.data.synthetic.degrade import KINDS, LIMIT, aperture, degrade
from pycaffe_ext.data.synthetic.sequences import HEADER, TABLE, Fate, Shot, fates, write
from pycaffe_ext.errors import UserError


@pytest.fixture(scope="module")
def frame() -> np.ndarray:
    return next(iter(render_video(1, 1, (144, 176))))[0]


def degraded(frame: np.ndarray, kind: str, severity: float = 0.6, seed: int = 0) -> np.ndarray:
    return degrade(frame, kind, severity, np.random.default_rng(seed))


def detail(image: np.ndarray) -> float:
    """Energy of fine structure within the aperture; noise of single pixels is averaged away."""
    grey = cv2.GaussianBlur(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.float32), (0, 0), 1)
    inside = cv2.erode(aperture(image), np.ones((15, 15))) > 0
    return float(np.var(cv2.Laplacian(grey, cv2.CV_32F)[inside]))


def inside(image: np.ndarray, frame: np.ndarray) -> np.ndarray:
    return image[aperture(frame) > 0].astype(float)


@pytest.mark.parametrize("kind", KINDS)
def test_equal_generators_give_equal_pixels_and_others_do_not(kind, frame):
    once = degraded(frame, kind)
    assert (once.shape, once.dtype) == (frame.shape, np.uint8)
    np.testing.assert_array_equal(once, degraded(frame, kind))
    assert (once != degraded(frame, kind, seed=1)).any()


@pytest.mark.parametrize("kind", KINDS)
def test_the_frame_is_changed_and_its_border_stays_black(kind, frame):
    before = frame.copy()
    image = degraded(frame, kind)
    outside = aperture(frame) == 0
    assert 0.02 < outside.mean() < 0.5
    assert image[outside].max() == 0
    assert np.abs(inside(image, frame) - inside(frame, frame)).mean() > 4
    np.testing.assert_array_equal(frame, before)


@pytest.mark.parametrize("kind", ["defocus", "motion", "contact"])
def test_fine_structure_goes_and_more_of_it_where_it_is_severe(kind, frame):
    details = [detail(frame), *(detail(degraded(frame, kind, severity)) for severity in (0, LIMIT, 1))]
    assert details[0] > details[1] > 2 * details[2] > 2 * details[3]


def test_motion_blurs_along_its_path_more_than_across(frame):
    spectrum = np.random.default_rng(0).integers(0, 255, (128, 128, 1), np.uint8).repeat(3, axis=2)
    image = degraded(spectrum, "motion", 0.5)[..., 1].astype(float)
    energy = np.abs(np.fft.fftshift(np.fft.fft2(image - image.mean()))) ** 2
    y, x = np.mgrid[-64:64, -64:64]
    weights = energy * (np.hypot(x, y) < 20)
    moments = np.array([[np.sum(weights * a * b) for a in (x, y)] for b in (x, y)])
    small, large = np.linalg.eigvalsh(moments)
    assert large > 2 * small


def test_bubbles_add_structure_and_highlights(frame):
    image = degraded(frame, "bubbles", 0.8)
    assert detail(image) > 1.5 * detail(frame)
    assert (image.min(axis=2) > 240).mean() > (frame.min(axis=2) > 240).mean()


def test_fluid_bends_and_dulls(frame):
    images = [inside(degraded(frame, "fluid", severity), frame) for severity in (0, 1)]
    contrast = [image.std() for image in (inside(frame, frame), *images)]
    assert contrast[0] > contrast[1] > contrast[2]


def test_contact_is_red_all_over(frame):
    blue, green, red = inside(degraded(frame, "contact", 1), frame).mean(axis=0)
    assert red > 1.8 * green
    assert red > 1.8 * blue


def test_over_exposure_clips_and_under_exposure_leaves_dark_noise(frame):
    share = [(inside(degraded(frame, "overexposure", s), frame) >= 254).mean() for s in (LIMIT, 0.6, 1)]
    assert (inside(frame, frame) >= 254).mean() < 0.02 < share[0] < share[1] < share[2]
    grey = [inside(degraded(frame, "underexposure", s), frame) for s in (LIMIT, 1)]
    assert inside(frame, frame).mean() * 0.6 > grey[0].mean() > grey[1].mean()
    flat = np.full((64, 64, 3), 120, np.uint8)
    signal_to_noise = [image.mean() / image.std() for image in (degraded(flat, "underexposure", s) for s in (0, 1))]
    assert signal_to_noise[1] < 0.5 * signal_to_noise[0]


def test_a_sharp_frame_is_recorded_with_noise_only(frame):
    change = inside(degraded(frame, "", 0), frame) - inside(frame, frame)
    assert abs(change.mean()) < 0.2
    assert 1 < change.std() < 1.5


@pytest.mark.parametrize("kind", KINDS)
def test_black_and_white_frames_do_no_harm(kind):
    for grey in (0, 255):
        image = degraded(np.full((64, 80, 3), grey, np.uint8), kind, 1)
        assert image.shape == (64, 80, 3)


def test_unknown_words_and_numbers_are_refused(frame):
    with pytest.raises(UserError, match="unknown degradation 'defocs'; did you mean 'defocus'"):
        degraded(frame, "defocs")
    for severity in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="must be 0..1"):
            degraded(frame, "fluid", severity)


# --- sequences --------------------------------------------------------------------------------------------------------


def test_half_of_every_video_is_degraded_in_runs():
    sizes = (8, 8, 9, 2, 60, 1, 1, 1, 1, 1, 1)
    groups = [f"v{i}" for i, n in enumerate(sizes) for _ in range(n)]
    found = fates(groups, np.random.default_rng(0))
    bad = {group: [not f.label for f, g in zip(found, groups, strict=True) if g == group] for group in groups}
    for group, own in bad.items():
        assert abs(sum(own) - len(own) / 2) <= 0.5, group
    singles = [bad[f"v{i}"][0] for i in range(5, 11)]
    assert 0 < sum(singles) < 6
    long = [f.kind for f, g in zip(found, groups, strict=True) if g == "v4"]
    assert {f.label for f in found if not f.kind} == {1}
    assert any(f.kind for f in found if f.label), "traces in good frames"
    changes = sum(a != b for a, b in zip(long[:-1], long[1:], strict=True))
    assert changes < 25, "consecutive frames share their fate"
    assert len({f.kind for f in found}) > 3
    assert all(0 <= f.severity <= 1 for f in found)


def test_sequences_are_written_whole_and_the_same_again(tmp_path, frame):
    for number in range(4):
        (tmp_path / f"{number}.png").write_bytes(cv2.imencode(".png", frame)[1].tobytes())
    shots = [Shot(f"v/{n}", tmp_path / f"{n}.png", "v") for n in range(4)]
    for name in ("one", "two"):
        write(tmp_path / name, shots, seed=3, workers=1, progress=False)
    with (tmp_path / "one" / TABLE).open() as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == HEADER
    assert [row["frame"] for row in rows] == ["v/0", "v/1", "v/2", "v/3"]
    for row in rows:
        first, second = (cv2.imread(str(tmp_path / name / f"{row['frame']}.png")) for name in ("one", "two"))
        np.testing.assert_array_equal(first, second)
        changed = np.abs(first.astype(float) - frame)[aperture(frame) > 0].mean() > 2  # grey levels: more than noise
        assert changed == (row["degradation"] != "")
        assert (row["label"] == "uninformative") == (float(row["severity"]) > LIMIT)
    assert sum(row["label"] == "informative" for row in rows) == 2
    with pytest.raises(UserError, match="1 frames to degrade; at least 2"):
        write(tmp_path / "three", shots[:1], seed=0)
    assert Fate() == Fate("", 0.0)
