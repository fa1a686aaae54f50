"""The trained detector: its features and forests against other libraries, its honesty by group, its file, its speed."""

import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from scipy.fft import dctn

from pycaffe_ext import detector
from pycaffe_ext.data import splits, synthetic
from pycaffe_ext.data.frames import Frame, polyp_pixels, read_image, read_mask
from pycaffe_ext.data.groups import join_near_duplicates
from pycaffe_ext.data.sources.plain import find as find_frames
from pycaffe_ext.detector import Detector, Model, curves, forest, labels, oriented, training
from pycaffe_ext.detector.choice import Compared, choose
from pycaffe_ext.detector.edges import Edges, both_ways, find_edges, look
from pycaffe_ext.detector.model import Choice
from pycaffe_ext.detector.settings import untrained
from pycaffe_ext.detector.voting import cast
from pycaffe_ext.errors import UserError

KVASIR = Path(__file__).resolve().parents[3] / "shared" / "data" / "kvasir-seg"
QUICK = Detector(working_side=128, trees=6, depth=8, samples=1200)


def edges_at(*rows: tuple[float, float, float]) -> Edges:
    """Edges at x, y whose normals point to an angle (degrees)."""
    x, y, angle = np.float32(rows).T
    return Edges(x, y, np.cos(np.radians(angle)), np.sin(np.radians(angle)), np.ones(len(x), np.float32))


def noise(height: int = 144, width: int = 176, seed: int = 0) -> np.ndarray:
    """A smooth random picture, BGR uint8, bright enough to be scene everywhere."""
    pixels = np.random.default_rng(seed).normal(0, 60, (height, width, 3)).astype(np.float32)
    return np.clip(130 + cv2.GaussianBlur(pixels, (0, 0), 3) * 4, 60, 200).astype(np.uint8)


# Oriented patches


def test_sub_patches_are_described_by_scipys_dct():
    patch = np.random.default_rng(0).random((oriented.SIDE, oriented.SIDE))
    found = patch.ravel() @ oriented.basis()
    assert found[0] == pytest.approx(patch.mean(), abs=1e-6)
    expected = []
    for top in (0, 4, 8):
        for left in (0, 4, 8):
            waves = dctn(patch[top : top + 8, left : left + 8], norm="ortho") / 8
            waves[0, 0] -= patch.mean()
            expected += [waves[at] for at in oriented.FREQUENCIES]
    assert np.allclose(found[1:], expected, atol=1e-6)


def test_a_patch_shows_what_lies_along_the_normal_to_the_right():
    ramp = np.tile(np.arange(100, dtype=np.float32)[:, None, None], (1, 100, 1))  # grows downwards
    down, right = oriented.cut(ramp, edges_at((50, 50, 90), (50, 50, 0)), 1.0).reshape(2, 16, 16)
    assert np.allclose(np.diff(down, axis=1), 1, atol=0.05) and np.allclose(np.diff(down, axis=0), 0, atol=0.05)
    assert np.allclose(np.diff(right, axis=0), 1, atol=0.05)


def test_the_opposite_direction_is_described_as_if_it_had_been_cut():
    view = look(noise())
    edges = edges_at((80, 70, 33), (60, 90, 200), (100, 50, 290))
    turned = Edges(edges.x, edges.y, -edges.nx, -edges.ny, edges.weight)
    both, again = oriented.describe(view, edges), oriented.describe(view, turned)
    assert both.shape == (6, oriented.COUNT)
    assert np.allclose(both[3:], again[:3], atol=0.02) and np.allclose(both[:3], again[3:], atol=0.02)
    assert not np.allclose(both[3:], both[:3], atol=0.1)


def test_features_stay_when_the_picture_is_turned():
    image = noise(160, 160)
    edges = edges_at((80, 70, 33), (60, 90, 200), (100, 50, 290))
    turned = Edges(edges.y, 159 - edges.x, edges.ny, -edges.nx, edges.weight)  # by 90 degrees, as np.rot90 does
    before = oriented.describe(look(image), edges)
    after = oriented.describe(look(np.ascontiguousarray(np.rot90(image))), turned)
    assert np.abs(after - before).max() < 0.05 * np.abs(before).max()


def test_more_edges_than_opencv_takes_at_once():
    many = Edges(*(np.full(40000, v, np.float32) for v in (30, 30, 1, 0, 1)))
    patches = oriented.cut(noise(64, 64).astype(np.float32), many, 1.0)
    assert patches.shape == (40000, 256, 3) and np.array_equal(patches[0], patches[-1])


# What edges are, and what they vote for


def test_edges_of_a_disc_are_its_boundary_seen_from_outside():
    mask = np.zeros((200, 240), np.uint8)
    cv2.circle(mask, (120, 100), 40, 1, -1)
    image = np.float32([90, 110, 180]) + 40 * cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 2)[..., None]
    view = look(image.astype(np.uint8))
    edges = find_edges(view, Detector())
    kind = labels.classify(edges, view, mask.astype(bool))
    n = len(edges)
    rim = np.abs(np.hypot(edges.x - 120, edges.y - 100) - 40) < 3
    assert rim.sum() > 100 and (kind[:n][rim] == labels.AHEAD).mean() > 0.95  # normals point to the light, inside
    assert (kind[n:][rim] == labels.BEHIND).mean() > 0.95
    nothing = labels.classify(edges, view, np.zeros((200, 240), bool))
    assert not np.isin(nothing, (labels.AHEAD, labels.BEHIND, labels.INSIDE)).any()
    whole = labels.classify(edges, view, np.ones((200, 240), bool))
    assert np.isin(whole, (labels.INSIDE, labels.SPOT, labels.DARK)).all()


def test_a_line_gets_no_vote_whichever_side_it_votes_to():
    x = np.arange(20, 220, dtype=np.float32)
    line = Edges(x, np.full(200, 100, np.float32), np.zeros(200, np.float32), np.ones(200, np.float32), x * 0 + 1)
    angle = np.linspace(0, 2 * np.pi, 250, dtype=np.float32)
    circle = Edges(120 + 40 * np.cos(angle), 100 + 40 * np.sin(angle), -np.cos(angle), -np.sin(angle), angle * 0 + 1)
    scene, settings = np.ones((200, 240), bool), replace(Detector(), unseen=0.0)
    votes = cast(both_ways(line, np.ones(400)), scene, 40, settings)[0]
    assert votes.max() < 0.35 * cast(circle, scene, 40, settings)[0].max()


# Forests


@pytest.fixture(scope="module")
def grown():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(3000, 12)).astype(np.float32)
    label = (features[:, 0] + rng.normal(size=3000) > 0).astype(int) * 2 + (features[:, 1] > 1)
    return features, label


def test_a_forest_says_what_scikit_learn_says(grown):
    from sklearn.ensemble import RandomForestClassifier

    features, label = grown
    theirs = RandomForestClassifier(7, max_depth=9, random_state=1).fit(features, label)
    mine = forest.from_trees([tree.tree_ for tree in theirs.estimators_], theirs.classes_)
    thresholds = np.repeat(mine.threshold[np.isfinite(mine.threshold)][:500, None], 12, axis=1)  # ties go left
    for some in (features, np.random.default_rng(5).normal(size=(500, 12)).astype(np.float32), thresholds):
        assert np.allclose(mine.predict(some)[:, theirs.classes_], theirs.predict_proba(some), atol=1e-5)


def test_a_forest_does_not_depend_on_threads(grown):
    one, two = (forest.grow(*grown, QUICK, 3, workers) for workers in (1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(one.arrays().values(), two.arrays().values(), strict=True))


# Training


@pytest.fixture(scope="module")
def parts(tmp_path_factory) -> dict[str, list[Frame]]:
    folder = tmp_path_factory.mktemp("frames")
    synthetic.write_sequences(folder / "d", videos=10, frames=1, size=(96, 128), workers=1, progress=False)
    frames = find_frames(folder / "d", progress=False)
    return splits.split_items(frames, polyp_pixels(frames, progress=False) > 0)


@pytest.fixture(scope="module", autouse=True)
def training_is_kept():
    """Few small frames teach little: the tests of the forests keep them, whatever they find."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(training, "choose", lambda _: Choice(1, 0, 1, 1, 1, 0))
        yield


@pytest.fixture(scope="module")
def fitted(parts):
    return detector.cross_fitted(parts, QUICK, 0, workers=1, progress=False)


def test_every_frame_of_every_part_gets_candidates_in_order(parts, fitted):
    found, model = fitted
    assert {part: len(boxes) for part, boxes in found.items()} == {part: len(own) for part, own in parts.items()}
    for frame, boxes in zip(parts["test"], found["test"], strict=True):
        assert np.array_equal(boxes, detector.detect(read_image(frame.image), model))
        assert boxes.shape[1] == 5 and (np.diff(boxes[:, 4]) <= 0).all() and np.isfinite(boxes).all()


def test_the_same_seed_gives_the_same_detector_with_any_number_of_processes(parts, fitted):
    found, model = detector.cross_fitted(parts, QUICK, 0, workers=2, progress=False)
    assert model.digest() == fitted[1].digest()
    for part in parts:
        assert all(np.array_equal(a, b) for a, b in zip(found[part], fitted[0][part], strict=True))
    assert detector.train(parts["train"], QUICK, 0, workers=1, progress=False).digest() == model.digest()
    assert detector.train(parts["train"], QUICK, 1, workers=1, progress=False).digest() != model.digest()


def test_candidates_of_a_frame_do_not_depend_on_the_masks_of_its_group(parts, fitted, tmp_path):
    group = next(f.group for f in parts["train"] if read_mask(f).any())

    def spoilt(frame: Frame) -> Frame:
        path = tmp_path / (frame.name.replace("/", "-") + ".png")
        height, width = read_image(frame.image).shape[:2]
        mask = np.zeros((height, width), np.uint8)
        cv2.circle(mask, (width // 2, height // 2), 25, 255, -1)
        cv2.imwrite(str(path), mask)
        return replace(frame, mask=path)

    changed = {**parts, "train": [spoilt(f) if f.group == group else f for f in parts["train"]]}
    found, model = detector.cross_fitted(changed, QUICK, 0, workers=1, progress=False)
    assert model.digest() != fitted[1].digest()  # the mask does teach
    own = [i for i, frame in enumerate(parts["train"]) if frame.group == group]
    assert own and all(np.array_equal(found["train"][i], fitted[0]["train"][i]) for i in own)


def test_no_other_part_is_opened_for_training(parts, fitted, tmp_path):
    gone = {part: [replace(f, mask=tmp_path / "gone.png") for f in own] for part, own in parts.items()}
    _, model = detector.cross_fitted({**gone, "train": parts["train"]}, QUICK, 0, workers=1, progress=False)
    assert model.digest() == fitted[1].digest()


def test_second_stages_learn_from_outputs_of_forests_that_did_not_see_the_frame():
    forests = dict.fromkeys([(0, 1, 2), (0, 1), (0, 2), (1, 2), (0,), (1,), (2,)])
    keys = [(0, 1, 2), (0, 1), (0, 2), (1, 2)]
    for fold in training.ALL:
        for key, teacher in training._teachers(fold, keys, forests).items():
            assert fold in key and fold not in teacher and set(teacher) < set(key)


def test_folds_are_dealt_by_group_and_each_shows_polyps():
    frames = [Frame(f"g{i // 4}/{i}", Path("x"), None, f"g{i // 4}") for i in range(48)]
    positive = np.array([i // 4 in (1, 5, 7, 9) and i % 2 == 0 for i in range(48)])
    fold = training.deal(frames, positive, 0)
    assert {fold[f"g{i}"] for i in (1, 5, 7, 9)} == {0, 1, 2}
    assert sorted(np.bincount(list(fold.values()))) == [4, 4, 4]


def test_frames_are_drawn_group_after_group_and_never_more_than_allowed():
    frames = [Frame(f"g{i % 5}/{i}", Path("x"), None, f"g{i % 5}") for i in range(100)]
    positive = np.arange(100) < 50
    drawn = training.draw(frames, positive, 15, 0)
    assert len({f.name for f in drawn}) == 15 and sum(int(f.name.split("/")[1]) < 50 for f in drawn) == 10
    assert {f.group for f in drawn[:5]} == {f"g{i}" for i in range(5)}
    assert len(training.draw(frames, positive, 500, 0)) == 100
    assert len(training.draw(frames, np.arange(100) < 3, 20, 0)) == 20


@pytest.mark.parametrize("groups", [0, 1])
def test_too_few_groups_with_polyps_are_refused(parts, groups):
    own = [f for f in parts["train"] if read_mask(f).any()]
    frames = [f for f in own if groups and f.group == own[0].group] + [replace(f, mask=None) for f in parts["val"]]
    with pytest.raises(UserError, match="polyps"):
        detector.train(frames, QUICK, 0, workers=1, progress=False)


def test_frames_that_show_nothing_may_be_among_the_training_frames(parts, fitted, tmp_path):
    odd = []
    for name, shape in (("black", (96, 128, 3)), ("tiny", (16, 20, 3)), ("sliver", (8, 400, 3))):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.zeros(shape, np.uint8))
        odd.append(Frame(name, tmp_path / f"{name}.png", None, name))
    found, model = detector.cross_fitted({"train": [*parts["train"], *odd]}, QUICK, 0, workers=1, progress=False)
    assert [len(boxes) for boxes in found["train"][-3:]] == [0, 0, 0]
    assert model.first is not None and any(len(boxes) for boxes in found["train"])


# Whether training is worth it


def chosen(*ranks: tuple[int, int]) -> Choice:
    """Of a frame with a polyp for each pair: the place of the first candidate that hits it, trained and untrained."""
    nothing = (np.zeros((0, 5), np.float32),) * 2
    return choose([Compared(nothing, np.array(ranks).T.reshape(2, -1))])


def test_untrained_is_kept_where_it_hits_more_polyps_than_chance_explains():
    lost, won, both = (12, 4), (4, 12), (3, 3)
    assert chosen(lost, won, both, both) == (3, 3, 4, 2, 6 + 7 + 7, 6 + 7 + 7)
    assert not chosen(*[lost] * 5, won, won, *[(0, 9)] * 20).trained  # by 3 of 7, and 3 > sqrt(7)
    assert chosen(*[won] * 5, lost, *[(9, 0)] * 20).trained  # however much better the untrained one ranks
    assert choose([]).trained


def test_within_chance_the_ranking_decides():
    lost, won = (12, 4), (4, 12)
    assert chosen(*[lost] * 5, *[won] * 4, *[(0, 2)] * 10).trained
    assert not chosen(*[lost] * 4, *[won] * 5, *[(2, 0)] * 10).trained
    assert chosen(*[lost] * 4, *[won] * 4).trained  # exactly alike


def test_forests_that_learnt_from_wrong_masks_are_not_kept(parts, tmp_path, monkeypatch):
    """Masks far from the polyps teach nothing: what the trained models find is compared on the right ones."""
    monkeypatch.setattr(training, "choose", choose)
    nowhere = leaf_of_nothing()
    monkeypatch.setattr(training, "grow", lambda *_: nowhere)
    found, model = detector.cross_fitted(parts, QUICK, 0, workers=1, progress=False)
    plain = Model(untrained(QUICK))
    assert model == replace(plain, choice=model.choice) and not model.choice.trained
    assert "untrained" in model.choice.text() and f"of {model.choice.polyps} polyps" in model.choice.text()
    for frame, boxes in zip(parts["test"], found["test"], strict=True):
        assert np.array_equal(boxes, detector.detect(read_image(frame.image), plain))
    model.save(tmp_path / "kept.npz")
    assert Model.load(tmp_path / "kept.npz") == model


def leaf_of_nothing() -> forest.Forest:
    """A leaf that calls no edge a boundary."""
    value = np.zeros((1, labels.CLASSES), np.float32)
    value[0, labels.OTHER] = 1
    index = np.zeros(1, np.int32)
    return forest.Forest(index, index, np.full(1, np.inf, np.float32), index, value, 0)


# Its file


def test_a_detector_survives_its_file(parts, fitted, tmp_path):
    fitted[1].save(tmp_path / "detector.npz")
    again = Model.load(tmp_path / "detector.npz")
    assert again.digest() == fitted[1].digest() and again.settings == QUICK
    image = read_image(parts["test"][0].image)
    assert np.array_equal(detector.detect(image, again), detector.detect(image, fitted[1]))
    detector.UNTRAINED_MODEL.save(tmp_path / "plain.npz")
    assert Model.load(tmp_path / "plain.npz") == detector.UNTRAINED_MODEL


@pytest.mark.parametrize("fault", ["absent", "text", "cut", "index", "nan", "settings", "missing"])
def test_a_damaged_file_is_named(fitted, tmp_path, fault):
    path = tmp_path / "detector.npz"
    fitted[1].save(path)
    arrays = dict(np.load(path))
    change = {
        "index": {"first/child": arrays["first/child"] + 10**6},
        "nan": {"second/value": arrays["second/value"] * np.nan},
        "settings": {"settings": np.array('{"radii": -1}')},
        "missing": {"first/root": np.zeros(0, np.int32)},
    }.get(fault)
    if fault == "absent":
        path.unlink()
    elif change:
        np.savez(path, **(arrays | change))
    else:
        path.write_bytes(b"text" if fault == "text" else path.read_bytes()[:5000])
    with pytest.raises(UserError) as error:
        Model.load(path)
    assert "\n" not in str(error.value)


# What it is good for


@pytest.mark.parametrize(
    "image",
    [np.zeros((200, 240, 3), np.uint8), np.full((200, 240, 3), 120, np.uint8), np.full((20, 20, 3), 120, np.uint8)],
    ids=["black", "uniform", "tiny"],
)
def test_where_nothing_is_to_be_seen_it_finds_nothing(fitted, image):
    assert detector.detect(image, fitted[1]).shape == (0, 5)


def test_any_noise_keeps_the_contract(fitted):
    image = np.random.default_rng(0).integers(40, 256, (480, 480, 3), dtype=np.uint8)
    found = detector.detect(image, fitted[1])
    assert np.isfinite(found).all() and len(found) <= QUICK.max_candidates


def test_a_frame_takes_less_than_half_a_second(fitted):
    image = cv2.resize(noise(), (480, 420))
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    times = []
    for _ in range(3):
        start = time.process_time()
        detector.detect(image, fitted[1])
        times.append(time.process_time() - start)
    cv2.setNumThreads(before)
    assert min(times) < 0.5


def test_a_curve_counts_polyps_not_candidates():
    from pycaffe_ext.evaluation.froc import Cases

    cases = Cases([0, 0, 0, 1, 1], [0.9, 0.8, 0.1, 0.7, 0.2], [0, 1, 1, 0, 1], [1, 2, 0])
    found = curves.points("d", "test", cases, most=3)
    by_number = [(p.at, p.hits, round(p.candidates_per_frame, 3)) for p in found if p.sweep == "number"]
    assert by_number == [(1, 0, 0.667), (2, 2, 1.333), (3, 2, 1.667)]
    by_threshold = [(p.at, p.hits, round(p.candidates_per_frame, 3)) for p in found if p.sweep == "threshold"]
    assert by_threshold == [(0.8, 1, 0.667), (0.2, 2, 1.333)]
    assert all(p.polyps == 3 and p.low <= p.share <= p.high for p in found)


@pytest.mark.slow
@pytest.mark.skipif(not KVASIR.is_dir(), reason="real frames are absent: shared/data/kvasir-seg")
def test_on_real_frames_training_helps():
    """Within the training part: learnt from 30 frames, compared with the untrained detector on others."""
    frames = find_frames(KVASIR, progress=False)
    parts = splits.split_items(join_near_duplicates(frames), polyp_pixels(frames, False) > 0)["train"]
    few, others = Detector(samples=8000, trees=16), parts[340:400]
    model = detector.train(parts[:30], few, 0, progress=False, compared=False)
    rates = []
    for one in (model, detector.UNTRAINED_MODEL):
        cases = curves.judge(others, detector.detect_all(others, one, progress=False), progress=False)
        at_ten = next(p for p in curves.points("", "", cases) if p.at == 10)
        rates.append((at_ten.share, curves.froc.sensitivity_at(curves.froc.curve(cases), 0.5)))
    assert rates[0][0] >= 0.88 and rates[0][1] > rates[1][1]
