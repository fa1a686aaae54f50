"""Near-duplicate frames end up in one group."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from pycaffe_ext.data.frames import Frame
from pycaffe_ext.data.groups import (
    check_near_duplicates,
    dhash,
    join_groups,
    join_near_duplicates,
    near_duplicates,
)
from pycaffe_ext.data.sources.plain import find as find_frames
from pycaffe_ext.errors import UserError

KVASIR = Path(__file__).resolve().parents[3] / "shared/data/kvasir-seg"


def test_hash_is_the_sign_of_horizontal_differences():
    ramp = np.repeat(np.arange(0, 255, 15, dtype=np.uint8)[None, :17], 16, axis=0)
    image = cv2.cvtColor(ramp, cv2.COLOR_GRAY2BGR)
    assert np.bitwise_count(dhash(image)).sum() == 256
    assert np.bitwise_count(dhash(image[:, ::-1])).sum() == 0


@pytest.mark.parametrize("n", [0, 1, 40, 700])
def test_near_duplicates_equal_brute_force_across_blocks(n):
    rng = np.random.default_rng(n)
    bits = rng.integers(0, 2, (n, 256), dtype=np.uint8)
    for i in range(1, n, 3):  # a third are copies of another with 0..20 bits flipped
        bits[i] = bits[rng.integers(0, i)]
        bits[i, rng.choice(256, rng.integers(0, 21), replace=False)] ^= 1
    hashes = np.packbits(bits, axis=1).view(np.uint64)
    far = (bits[:, None].astype(np.int16) != bits[None]).sum(axis=2) if n < 100 else None
    if far is None:
        far = 128 - ((2.0 * bits - 1) @ (2.0 * bits - 1).T) / 2
    expected = {(i, j) for i, j in zip(*np.nonzero(far <= 10), strict=True) if i < j}
    pairs = near_duplicates(hashes)
    assert {tuple(pair) for pair in pairs} == expected
    assert len(pairs) == len(expected)


def test_union_of_groups_is_transitive_and_named_after_the_first():
    groups = ["d", "b", "b", "a", "c", "e"]
    pairs = np.array([[0, 1], [2, 4]])  # d-b and b-c
    assert join_groups(groups, pairs) == ["b", "b", "b", "a", "b", "e"]
    assert join_groups(groups, np.empty((0, 2), int)) == groups


def test_union_equals_brute_force():
    for seed in range(50):
        rng = np.random.default_rng(seed)
        groups = [f"g{i}" for i in rng.integers(0, 12, 30)]
        pairs = rng.integers(0, 30, (rng.integers(0, 12), 2))
        expected = list(groups)
        for _ in range(30):
            for i, j in pairs:
                least, other = sorted((expected[i], expected[j]))
                expected = [least if g == other else g for g in expected]
        assert join_groups(groups, pairs) == expected


def test_copies_join_and_blank_frames_do_not(tmp_path):
    rng = np.random.default_rng(0)
    scene = cv2.resize(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8), (160, 120), interpolation=cv2.INTER_CUBIC)
    other = cv2.resize(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8), (160, 120), interpolation=cv2.INTER_CUBIC)
    pictures = {
        "a": scene,
        "b": other,
        "c": cv2.resize(scene, (200, 150)),
        "d": np.zeros_like(scene),
        "e": np.zeros_like(scene),
    }
    frames = []
    for name, picture in pictures.items():
        cv2.imwrite(str(tmp_path / f"{name}.jpg"), picture)
        frames.append(Frame(name, tmp_path / f"{name}.jpg", None, name))
    assert [f.group for f in join_near_duplicates(frames)] == ["a", "b", "a", "d", "e"]


def test_near_duplicates_in_two_splits_are_named(tmp_path):
    rng = np.random.default_rng(1)
    frames = []
    for name in "abcd":
        scene = cv2.resize(rng.integers(0, 256, (9, 9, 3), np.uint8), (160, 120), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(tmp_path / f"{name}.png"), scene)
        frames.append(Frame(name, tmp_path / f"{name}.png", None, name))
    parts = {"train": frames[:2], "val": frames[2:3], "test": frames[3:]}
    check_near_duplicates(parts)
    copy = cv2.resize(cv2.imread(str(tmp_path / "b.png")), (320, 240))
    cv2.imwrite(str(tmp_path / "d.png"), copy, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    with pytest.raises(UserError, match="two splits, 1 pair, the first: b in train and d in test; remove the folder"):
        check_near_duplicates(parts)
    alone = (tmp_path / "c.png").read_bytes()
    cv2.imwrite(str(tmp_path / "c.png"), copy)
    with pytest.raises(UserError, match="3 pairs, the first: b in train and c in val; see splits.csv$"):
        check_near_duplicates(parts, remedy="see splits.csv")
    (tmp_path / "c.png").write_bytes(alone)
    cv2.imwrite(str(tmp_path / "d.png"), copy[:, ::-1])  # a mirrored copy is not found: see the module
    check_near_duplicates(parts)


@pytest.mark.skipif(not KVASIR.is_dir(), reason="the Kvasir-SEG frames are not at hand")
def test_six_frames_of_kvasir_seg_are_near_duplicates():
    frames = join_near_duplicates(find_frames(KVASIR, progress=False))
    sizes = np.unique([frame.group for frame in frames], return_counts=True)[1]
    assert len(frames) == 1000
    assert sorted(sizes[sizes > 1]) == [2, 2, 2]
