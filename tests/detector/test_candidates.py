"""The shape detector on drawn scenes of known truth, its promises on odd input, and its coverage of real polyps."""

import warnings
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from pycaffe_ext.data.frames import Frame, read_image, read_mask
from pycaffe_ext.data.sources.plain import find as find_frames
from pycaffe_ext.detector import (
    UNTRAINED,
    Detector,
    Model,
    centres,
    detect,
    detect_all,
    inside,
    lesion_of,
    lesions,
)
from pycaffe_ext.detector.edges import Edges, find_edges, look, visible
from pycaffe_ext.detector.field import field
from pycaffe_ext.detector.voting import cast, enclosure
from pycaffe_ext.errors import UserError

KVASIR = Path(__file__).resolve().parents[3] / "shared" / "data" / "kvasir-seg"
MUCOSA, POLYP = (90, 110, 190), (120, 140, 220)  # BGR


def background(height: int, width: int, seed: int) -> np.ndarray:
    """Mucosa with smooth shading and fine grain, float32."""
    rng = np.random.default_rng(seed)
    shading = cv2.resize(rng.normal(0, 6, (5, 5)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    grain = cv2.GaussianBlur(rng.normal(0, 8, (height, width)).astype(np.float32), (0, 0), 1.5)
    return np.float32(MUCOSA) + (shading + grain)[..., None]


def ellipse(shape: tuple[int, int], centre, axes, angle: float = 0) -> np.ndarray:
    mask = np.zeros(shape, np.uint8)
    cv2.ellipse(mask, centre, axes, angle, 0, 360, 1, -1)
    return mask.astype(bool)


def scene(mask: np.ndarray, seed: int = 0) -> np.ndarray:
    """A frame with a lighter region where `mask` is set."""
    soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 2)[..., None]
    image = background(*mask.shape, seed) + soft * (np.float32(POLYP) - np.float32(MUCOSA))
    return np.clip(image, 0, 255).astype(np.uint8)


def box_iou(box: np.ndarray, mask: np.ndarray) -> float:
    """Of a candidate's box with the bounding box of a mask, counted on pixels."""
    x, y, w, h = np.round(box[:4]).astype(int)
    truth = np.zeros(mask.shape, bool)
    rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    truth[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1] = True
    mine = np.zeros(mask.shape, bool)
    mine[y : y + h, x : x + w] = True
    return (truth & mine).sum() / (truth | mine).sum()


SHAPES = {
    "small disc": ((130, 300), (25, 25), 0),
    "disc": ((240, 200), (60, 60), 0),
    "large disc": ((230, 190), (120, 120), 0),
    "upright ellipse": ((300, 180), (50, 80), 0),
    "tilted ellipse": ((200, 220), (80, 55), 30),
}


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", SHAPES)
def test_a_drawn_polyp_is_the_best_candidate(name, seed):
    mask = ellipse((400, 480), *SHAPES[name])
    best = detect(scene(mask, seed))[:1]
    assert inside(best, mask)[0]
    assert box_iou(best[0], mask) > 0.5


def test_two_polyps_are_both_found():
    one, two = ellipse((400, 480), (120, 130), (50, 50)), ellipse((400, 480), (350, 270), (70, 55))
    found = detect(scene(one | two))
    assert {1, 2} <= set(lesion_of(found[:3], one | two))


def test_contract_of_the_array():
    found = detect(scene(ellipse((400, 480), (20, 380), (70, 70))))  # cut by the frame's corner
    assert found.dtype == np.float32 and found.shape[1] == 5 and 0 < len(found) <= Detector().max_candidates
    assert np.isfinite(found).all() and (found[:, 4] > 0).all()
    assert (np.diff(found[:, 4]) <= 0).all()
    assert (found[:, :4] >= 0).all() and (found[:, 2:4] > 0).all()
    assert (found[:, 0] + found[:, 2] <= 480.001).all() and (found[:, 1] + found[:, 3] <= 400.001).all()


def test_fewer_candidates_are_the_first_of_more():
    image = scene(ellipse((400, 480), (240, 200), (60, 60)))
    many, few = detect(image), detect(image, Model(replace(UNTRAINED, max_candidates=3)))
    assert len(few) == 3 and np.array_equal(few, many[:3])


@pytest.mark.parametrize("turn", ["rot90", "rot180", "mirror"])
def test_candidates_follow_the_frame_when_it_is_turned(turn):
    mask = ellipse((400, 480), (170, 230), (80, 50), 20)
    turned = {"rot90": np.rot90, "rot180": lambda a: np.rot90(a, 2), "mirror": np.fliplr}[turn]
    before, after = (detect(np.ascontiguousarray(turned(scene(mask)))) for turned in (lambda a: a, turned))
    (x, y), (height, width) = centres(before)[0], mask.shape
    expected = {"rot90": (y, width - x), "rot180": (width - x, height - y), "mirror": (width - x, y)}[turn]
    assert np.hypot(*(centres(after)[0] - expected)) < 8
    size = before[0, 2:4][::-1] if turn == "rot90" else before[0, 2:4]
    assert np.allclose(after[0, 2:4], size, rtol=0.12)
    assert after[0, 4] == pytest.approx(before[0, 4], rel=0.1)


def test_a_frame_of_another_size_gives_the_same_boxes_scaled():
    image = scene(ellipse((400, 480), (240, 200), (60, 70)))
    larger = cv2.resize(image, (960, 800), interpolation=cv2.INTER_CUBIC)
    assert np.allclose(detect(larger)[0, :4], 2 * detect(image)[0, :4], atol=12)


def framed() -> np.ndarray:
    """Two polyps and a small one in a round field with a black surround."""
    mask = ellipse((400, 480), (180, 150), (50, 40)) | ellipse((400, 480), (320, 260), (30, 36))
    shown = ellipse((400, 480), (240, 200), (226, 190))
    return np.where(shown[..., None], scene(mask | ellipse((400, 480), (330, 110), (7, 7))), 3).astype(np.uint8)


def assert_same_polyps(found: np.ndarray, expected: np.ndarray) -> None:
    """The three polyps of `framed` have the same boxes, to 1 % of the field, and nearly the same scores."""
    assert (expected[:3, 4] > 2 * expected[3, 4]).all() and (found[:3, 4] > 2 * found[3, 4]).all()
    order = [np.argsort(candidates[:3, 0]) for candidates in (found, expected)]
    assert np.abs(found[order[0], :4] - expected[order[1], :4]).max() < 0.01 * 452
    assert found[order[0], 4] == pytest.approx(expected[order[1], 4], rel=0.1)


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_candidates_do_not_depend_on_the_size_of_the_frame(scale):
    image = framed()
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    found = detect(cv2.resize(image, None, fx=scale, fy=scale, interpolation=how))
    assert_same_polyps(found / [scale, scale, scale, scale, 1], detect(image))


def test_a_black_surround_with_text_does_not_change_the_candidates():
    image = framed()
    wide = cv2.copyMakeBorder(image, 90, 200, 380, 60, cv2.BORDER_CONSTANT, value=(2, 2, 2))
    cv2.putText(wide, "12:05:17", (20, 80), 0, 1.2, (230, 230, 230), 2)
    assert_same_polyps(detect(wide) - [380, 90, 0, 0, 0], detect(image))
    assert np.abs(np.array(field(wide, 320)) - [90, 380, 90, 380] - field(image, 320)).max() <= 2


@pytest.mark.parametrize("share", [0.02, 0.035, 0.06])
def test_small_lesions_are_among_the_first_candidates(share):
    radius = round(share * 960 / 2)
    mask = ellipse((800, 960), (560, 330), (radius, radius))
    found = detect(scene(mask))
    hit = lesion_of(found, mask)[:5] > 0
    assert hit.any() and box_iou(found[:5][hit][0], mask) > 0.2


def test_many_polyps_of_different_sizes_are_found_in_one_frame():
    places = [((90, 90), 40), ((380, 100), 22), ((250, 210), 55), ((100, 320), 14), ((400, 320), 30)]
    masks = [ellipse((400, 480), centre, (radius, radius)) for centre, radius in places]
    whole = np.logical_or.reduce(masks)
    assert lesions(whole)[1] == 5 and set(lesion_of(detect(scene(whole)), whole)) >= {1, 2, 3, 4, 5}


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((300, 400, 3), np.uint8),
        np.full((300, 400, 3), MUCOSA, np.uint8),
        np.full((300, 400, 3), 255, np.uint8),
        np.full((1, 1, 3), 90, np.uint8),
        np.full((10, 2000, 3), 90, np.uint8),
        np.zeros((0, 0, 3), np.uint8),
    ],
    ids=["black", "uniform", "white", "pixel", "sliver", "empty"],
)
def test_nothing_to_see_gives_no_candidate_and_no_warning(image):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert detect(image).shape == (0, 5)


@pytest.mark.parametrize("shape", [(32, 32), (40, 700), (33, 57)])
def test_small_and_narrow_noise_keeps_the_contract(shape):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = detect(image)
    assert np.isfinite(found).all() and (found[:, 0] + found[:, 2] <= shape[1] + 0.001).all()


@pytest.mark.parametrize("bad", [np.zeros((50, 50), np.uint8), np.zeros((50, 50, 3)), "frame.png", None])
def test_another_kind_of_image_is_refused(bad):
    with pytest.raises(UserError, match="BGR uint8"):
        detect(bad)


def test_a_line_does_not_outrank_a_disc():
    mask = ellipse((400, 480), (130, 200), (55, 55))
    line = np.zeros((400, 480), np.uint8)
    cv2.line(line, (350, 0), (380, 399), 1, 6)
    found = detect(scene(mask | line.astype(bool)))
    near_line = np.abs(centres(found)[:, 0] - 365) < 40
    assert inside(found[:1], mask)[0]
    assert not near_line.any() or found[near_line, 4].max() < 0.7 * found[0, 4]


def test_a_dark_hole_scores_below_the_same_light_disc():
    mask = ellipse((400, 480), (240, 200), (60, 60))
    light = scene(mask)
    dark = np.clip(2 * background(400, 480, 0) - light, 0, 255).astype(np.uint8)
    assert detect(dark)[0, 4] < 0.8 * detect(light)[0, 4]


def test_the_surround_and_the_sensor_picture_make_no_edges():
    image = scene(ellipse((400, 480), (240, 160), (60, 60)))
    shown = ellipse((400, 480), (240, 200), (220, 190))
    shown[300:, :150] = False
    framed = np.where(shown[..., None], image, 4).astype(np.uint8)
    cv2.putText(framed, "17/06/2015", (2, 290), 0, 0.4, (230, 230, 230), 1)
    seen = visible(framed)
    assert (seen == shown).mean() > 0.97
    edges = find_edges(look(framed), Detector())
    distance = cv2.distanceTransform(np.pad(shown, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
    assert distance[edges.y.astype(int), edges.x.astype(int)].min() > 2


def test_normals_point_to_the_light():
    image = scene(ellipse((400, 480), (240, 200), (60, 60)))
    edges = find_edges(look(image), Detector())
    dx, dy = 240 - edges.x, 200 - edges.y
    rim = np.abs(np.hypot(dx, dy) - 60) < 6
    towards = (dx * edges.nx + dy * edges.ny)[rim] / np.hypot(dx, dy)[rim]
    assert rim.sum() > 200 and np.median(towards) > 0.9
    assert np.allclose(np.hypot(edges.nx, edges.ny), 1, atol=1e-5)


def test_enclosure_equals_the_sum_over_pairs_of_sides():
    sides = np.random.default_rng(0).random((50, 8)).astype(np.float32)
    angles = np.arange(8) * np.pi / 4
    pairs = np.sqrt(sides[:, :, None] * sides[:, None, :]) * (1 - np.cos(angles[:, None] - angles[None]))
    assert np.allclose(enclosure(sides), np.sqrt(pairs.sum(axis=(1, 2))) / 8, atol=1e-5)
    assert enclosure(np.ones(8)) == pytest.approx(1)
    assert enclosure(np.eye(8)) == pytest.approx(np.zeros(8), abs=1e-4)


def circle_edges(x: float, y: float, radius: float) -> Edges:
    angle = np.linspace(0, 2 * np.pi, round(2 * np.pi * radius), endpoint=False)
    columns = x + radius * np.cos(angle), y + radius * np.sin(angle), -np.cos(angle), -np.sin(angle)
    return Edges(*(c.astype(np.float32) for c in columns), np.ones(len(angle), np.float32))


def test_a_perfect_circle_collects_nearly_the_whole_vote_at_its_centre():
    whole = np.ones((200, 240), bool)
    votes, cell = cast(circle_edges(130, 90, 40), whole, 40, Detector())
    row, col = np.unravel_index(votes.argmax(), votes.shape)
    assert abs((col + 0.5) * cell - 0.5 - 130) <= cell and abs((row + 0.5) * cell - 0.5 - 90) <= cell
    assert 0.85 < votes.max() <= 1
    other, _ = cast(circle_edges(130, 90, 40), whole, 20, Detector())
    assert other.max() < 0.7 * votes.max()


@pytest.mark.parametrize(
    "field", ["smallest=0", "largest=nan", "radii=2.5", "working_side=10", "smallest=0.5", "max_candidates=0"]
)
def test_settings_out_of_range_are_refused(field):
    name, value = field.split("=")
    with pytest.raises(UserError, match="detector: "):
        replace(Detector(), **{name: float(value)})


# Judging and keeping candidates


def test_lesions_are_numbered_components_without_specks():
    mask = ellipse((400, 480), (100, 100), (30, 30)) | ellipse((400, 480), (300, 300), (40, 20))
    mask[10, 10] = True
    labels, count = lesions(mask)
    assert count == 2 and set(np.unique(labels)) == {0, 1, 2} and labels[10, 10] == 0
    assert lesions(np.zeros((5, 5), bool))[1] == 0


def test_a_candidate_hits_the_lesion_that_holds_its_centre():
    mask = ellipse((400, 480), (100, 100), (30, 30)) | ellipse((400, 480), (300, 300), (40, 20))
    boxes = np.float32([[90, 90, 20, 20], [0, 0, 480, 400], [280, 290, 40, 20], [470, 390, 20, 20]])
    boxes = np.column_stack([boxes, np.ones(4, np.float32)])
    assert lesion_of(boxes, mask).tolist() == [1, 0, 2, 0]
    assert lesion_of(boxes, lesions(mask)[0]).tolist() == [1, 0, 2, 0]
    assert inside(boxes, mask).tolist() == [True, False, True, False]
    assert inside(boxes[:0], mask).shape == (0,)


def drawn_frames(folder: Path, count: int) -> list[Frame]:
    frames = []
    for i in range(count):
        path = folder / f"f{i}.png"
        cv2.imwrite(str(path), scene(ellipse((200, 240), (70 + 10 * i, 100), (30, 30)), i))
        frames.append(Frame(f"v/f{i}", path, None, "v"))
    return frames


def test_parallel_equals_serial_equals_again(tmp_path):
    frames = drawn_frames(tmp_path, 10)
    serial = detect_all(frames, workers=1, progress=False)
    parallel = detect_all(frames, workers=2, progress=False)
    for frame, one, two in zip(frames, serial, parallel, strict=True):
        assert np.array_equal(one, two) and np.array_equal(one, detect(read_image(frame.image)))


@pytest.mark.parametrize("workers", [1, 2])
def test_an_unreadable_frame_is_named(tmp_path, workers):
    frames = drawn_frames(tmp_path, 3)
    frames[1].image.write_bytes(b"no image")
    with pytest.raises(UserError, match="f1.png"):
        detect_all(frames, workers=workers, progress=False)


def test_detecting_nothing_gives_nothing():
    assert detect_all([], progress=False) == []


@pytest.mark.skipif(not KVASIR.is_dir(), reason="real frames are absent: shared/data/kvasir-seg")
def test_most_real_polyps_are_covered():
    """Measured on 200 frames that were not tuned on:

    96 % at 10 a frame, 72 % by the best. The floors leave a margin for 40.
    """
    frames = find_frames(KVASIR, progress=False)
    chosen = [frames[i] for i in np.random.default_rng(7).permutation(len(frames))[200:240]]
    total = hit = first = 0
    for frame, found in zip(chosen, detect_all(chosen, workers=1, progress=False), strict=True):
        labels, count = lesions(read_mask(frame))
        hits = lesion_of(found, labels)
        total += count
        hit += len(set(hits[hits > 0]))
        first += bool(len(hits) and hits[0])
    assert hit / total >= 0.85
    assert first / len(chosen) >= 0.55
