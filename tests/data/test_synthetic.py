"""Synthetic sequences: repeatable, masks that fit, groups, and shapes that follow from the geometry."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from programs import run_tool

from pycaffe_ext.data.frames import fingerprint, polyp_pixels, read_image
from pycaffe_ext.data.groups import join_near_duplicates
from pycaffe_ext.data.sources.plain import find as find_frames
from pycaffe_ext.data.synthetic import render_video, write_sequences
from pycaffe_ext.data.synthetic.anatomy import MOST_HEIGHT, Wall, build_wall, noise
from pycaffe_ext.data.synthetic.camera import Bend, cast
from pycaffe_ext.data.synthetic.optics import pixel_rays
from pycaffe_ext.data.synthetic.world import USUAL, WORLDS, World
from pycaffe_ext.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
SIZE = (144, 176)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("synthetic") / "set"
    write_sequences(folder, videos=5, frames=6, size=SIZE, workers=2, progress=False)
    return folder


def test_reads_as_a_data_set_with_a_group_a_video(data):
    frames = find_frames(data)
    assert len(frames) == 30
    assert {f.group for f in frames} == {f"video{i:03d}" for i in range(5)}
    assert all(read_image(f.image).shape == (*SIZE, 3) for f in frames)
    assert len({f.group for f in join_near_duplicates(frames)}) == 5


def test_polyps_in_part_of_the_frames_and_never_in_every_fourth_video(data):
    frames = find_frames(data)
    shown = polyp_pixels(frames)
    assert 0.2 < (shown > 0).mean() < 0.9
    assert not shown[[f.group == "video003" for f in frames]].any()
    assert shown[shown > 0].min() >= USUAL.smallest


def test_same_seed_same_bytes_whatever_the_workers(data, tmp_path):
    again, other = tmp_path / "again", tmp_path / "other"
    write_sequences(again, videos=5, frames=6, size=SIZE, workers=1, progress=False)
    write_sequences(other, videos=5, frames=6, size=SIZE, seed=1, workers=1, progress=False)
    same = fingerprint(find_frames(data))
    assert same == fingerprint(find_frames(again))
    assert same != fingerprint(find_frames(other))


def test_picture_has_black_border_dark_lumen_and_reddish_wall():
    for image, mask in render_video(0, 3, SIZE):
        assert image.dtype == mask.dtype == np.uint8
        assert set(np.unique(mask)) <= {0, 255}
        assert image[:3, :3].max() == 0
        inside = image[image.max(axis=2) > 20]
        assert inside[:, 2].mean() > 1.15 * inside[:, 1].mean() > 1.15 * inside[:, 0].mean()
        assert np.percentile(inside.max(axis=1), 5) < 110 < np.percentile(inside.max(axis=1), 90)


def test_polyps_differ_from_the_wall_but_not_by_brightness_alone():
    inside, outside = [], []
    for video in (0, 1, 2):
        for image, mask in render_video(video, 6, SIZE):
            if mask.any():
                inside.append(image[mask > 0].mean())
                outside.append(image[(mask == 0) & (image.max(axis=2) > 60)].mean())
    difference = np.array(inside) - np.array(outside)
    assert len(difference) > 3
    assert difference.min() < difference.max()
    assert np.abs(difference).mean() < 60


def test_rays_meet_a_straight_smooth_tube_where_geometry_says():
    straight = Bend(*(np.zeros((2, 2), np.float32) for _ in range(3)))
    rays = pixel_rays((65, 65))
    hits = cast(np.zeros((640, 1280), np.float32), straight, np.zeros(3, np.float32), rays)
    exact = 1 / np.hypot(rays[..., 0], rays[..., 1]).clip(1e-6)
    near = exact < 8
    assert near.mean() > 0.9
    error = np.abs(hits.distance - exact)[near] / exact[near]
    assert error.max() < 0.02


def test_wall_stays_out_of_the_cameras_way_and_wraps_around():
    for seed in range(4):
        wall = build_wall(np.random.default_rng(seed), 3, 1.0, 6.0)
        assert isinstance(wall, Wall)
        assert wall.height.max() < MOST_HEIGHT
        assert wall.height.dtype == wall.colour.dtype == wall.gloss.dtype == wall.polyp.dtype == np.float32
        assert (wall.polyp.mean() > 0.001) and np.isfinite(wall.colour).all()
    field = noise(np.random.default_rng(0), 60)
    inner = np.abs(np.diff(field, axis=1)).max()
    assert np.abs(field[:, 0] - field[:, -1]).max() < 1.5 * inner


def test_no_half_written_set_and_small_numbers_are_refused(tmp_path, monkeypatch):
    for wrong in ({"videos": 0}, {"frames": 0}, {"size": (8, 352)}):
        with pytest.raises(UserError, match="too small"):
            write_sequences(tmp_path / "x", **wrong)
    monkeypatch.setattr(Path, "write_bytes", lambda *_: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(OSError, match="full"):
        write_sequences(tmp_path / "x", videos=1, frames=1, size=SIZE, workers=1, progress=False)
    assert list(tmp_path.iterdir()) == []


def test_tool_writes_a_set_and_tells_mistakes_in_one_line(tmp_path):
    asked = ("make_synthetic", tmp_path / "set", "--size", "64", "80")
    done = run_tool(*asked, "--videos", "1", "--frames", "1", "--workers", "1")
    assert done.returncode == 0
    assert len(find_frames(tmp_path / "set")) == 1
    wrong = run_tool(*asked, "--videos", "0")
    assert wrong.returncode == 1
    assert wrong.stderr.startswith("error: synthetic videos: 0") and wrong.stderr.count("\n") == 1


def test_a_world_of_small_polyps_has_more_and_smaller_ones_in_a_wider_surround():
    def drawn(world: World) -> list[tuple[np.ndarray, np.ndarray]]:
        return list(render_video(0, 2, SIZE, seed=4, world=world))

    usual, tiny = drawn(USUAL), drawn(WORLDS["tiny"])
    black = [np.mean([(image.max(axis=2) < 24).mean() for image, _ in pictures]) for pictures in (usual, tiny)]
    assert all(image.shape == (*SIZE, 3) and mask.shape == SIZE for image, mask in tiny)
    assert black[1] > 0.45 > black[0]
    areas = [
        cv2.connectedComponentsWithStats(mask)[2][1:, cv2.CC_STAT_AREA]
        for pictures in (usual, tiny)
        for _, mask in pictures
    ]
    assert max(np.concatenate(areas[2:])) < 0.3 * max(np.concatenate(areas[:2]))


@pytest.mark.parametrize("wrong", [{"polyps": (0, 2)}, {"size": (0.4, 0.2)}, {"flat": 1.5}, {"border": float("nan")}])
def test_a_world_out_of_range_is_refused(wrong):
    with pytest.raises(UserError, match=f"synthetic world: {next(iter(wrong))}"):
        World(**wrong)
