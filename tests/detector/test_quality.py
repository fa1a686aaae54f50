"""The hand-crafted baseline for informative frames."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from pycaffe_ext.data.synthetic import render_video
from pycaffe_ext.data.synthetic.degrade import KINDS, degrade
from pycaffe_ext.detector import quality
from pycaffe_ext.detector.quality import FEATURES, Model, cross_fitted, features, train
from pycaffe_ext.errors import UserError


@pytest.fixture(autouse=True)
def few_trees(monkeypatch):
    monkeypatch.setattr(quality, "TREES", 25)


def named(image: np.ndarray) -> dict[str, float]:
    return dict(zip(FEATURES, features(image), strict=True))


@pytest.fixture(scope="module")
def frame() -> np.ndarray:
    return next(iter(render_video(1, 1, (144, 176))))[0]


def test_blur_takes_energy_from_high_frequencies_and_edges(frame):
    sharp, soft = named(frame), named(cv2.GaussianBlur(frame, (0, 0), 5))
    for name in ("spectrum_16_32", "dct_4", "laplacian_mean", "gradient_q90", "edge_density"):
        assert soft[name] < sharp[name], name
    assert abs(soft["brightness"] - sharp["brightness"]) < 1
    assert abs(soft["spectrum_1_2"] - sharp["spectrum_1_2"]) < 0.2


def test_a_wave_shows_in_its_own_band():
    x = np.arange(256)
    for periods, band in ((3, "spectrum_2_4"), (24, "spectrum_16_32")):
        wave = np.rint(127 + 100 * np.sin(2 * np.pi * periods * x / 256)).astype(np.uint8)
        found = named(np.tile(wave[None, :, None], (256, 1, 3)))
        bands = {name: value for name, value in found.items() if name.startswith("spectrum")}
        assert max(bands, key=bands.get) == band
        assert found["edge_straightness"] > 0.95


def test_shares_of_light_and_colour_are_counted():
    image = np.zeros((256, 256, 3), np.uint8)
    image[:, :64] = 255
    found = named(image)
    assert found["clipped"] == found["highlights"] == 0.25
    assert found["dark"] == 0.75
    red = named(np.full((64, 64, 3), (0, 50, 150), np.uint8))
    assert (red["blue_share"], red["green_share"], red["red_share"]) == (0, 0.25, 0.75)


@pytest.mark.parametrize("grey", [0, 127, 255])
def test_blank_frames_have_finite_features(grey):
    assert np.isfinite(features(np.full((40, 30, 3), grey, np.uint8))).all()


def test_frames_of_every_degradation_score_below_sharp_ones():
    frames = [next(iter(render_video(video, 1, (72, 96))))[0] for video in range(5)]
    images, label, groups = [], [], []
    for n, image in enumerate(frames):
        for k, kind in enumerate(KINDS):
            images += [
                degrade(image, kind, 0.8, np.random.default_rng([n, k])),
                degrade(image, "", 0, np.random.default_rng([n, k, 1])),
            ]
            label += [0, 1]
            groups += [str(n)] * 2
    table, label = np.stack([features(image) for image in images]), np.array(label)
    scores = cross_fitted(table, label, groups, seed=0)
    assert scores[label == 1].mean() > 0.8 > 0.3 > scores[label == 0].mean()


def small_table() -> tuple[np.ndarray, np.ndarray, list[str]]:
    rng = np.random.default_rng(0)
    label = np.tile([0, 1], 15)
    return rng.normal(label[:, None], 1, (30, len(FEATURES))), label, [str(i // 6) for i in range(30)]


def test_the_saved_model_scores_as_scikit_learns_forest(tmp_path):
    table, label, _ = small_table()
    from sklearn.ensemble import RandomForestClassifier

    model = train(table, label, 1)
    forest = RandomForestClassifier(quality.TREES, min_samples_leaf=3, class_weight="balanced", random_state=1)
    expected = forest.fit(table.astype(np.float32), label).predict_proba(table)[:, 1]
    np.testing.assert_allclose(model.score(table), expected, atol=1e-5)
    model.save(tmp_path / "m.npz")
    again = Model.load(tmp_path / "m.npz")
    np.testing.assert_array_equal(again.score(table), model.score(table))
    assert again.digest() == model.digest() != train(table, label, 2).digest()


def test_a_training_frame_is_scored_by_a_forest_that_never_saw_its_group():
    """Every group has its own mark, and labels are random by group: only a forest that saw the group knows it."""
    rng = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 5)
    label = rng.permutation(np.tile([0, 1], 20))[groups]
    table = np.zeros((200, len(FEATURES)))
    table[:, :10] = rng.normal(0, 1, (40, 10))[groups]
    seen = train(table, label, 0).score(table)
    unseen = cross_fitted(table, label, [str(g) for g in groups], 0)
    right = [np.mean((scores > 0.5) == label) for scores in (seen, unseen)]
    assert right[0] > 0.95
    assert right[1] < 0.75


def test_what_can_not_be_trained_or_read_is_named(tmp_path):
    table, label, _ = small_table()
    with pytest.raises(UserError, match="needs two among the training frames"):
        cross_fitted(table, label, ["a"] * 30, 0)
    with pytest.raises(UserError, match="m.npz: no such file"):
        Model.load(tmp_path / "m.npz")
    (tmp_path / "m.npz").write_bytes(b"no model")
    with pytest.raises(UserError, match="m.npz: not a model of this program"):
        Model.load(tmp_path / "m.npz")
