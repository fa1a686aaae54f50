"""Rows that processes share: the same bits with and without, who finds whose, and what goes when the folder is full."""

from __future__ import annotations

import gc
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from solver_lab import images, prepare, run_ours, solver_text, write_lmdb

from pycaffe_ext.engine import options
from pycaffe_ext.engine.cache import content, prefix, shared
from pycaffe_ext.engine.core.net import Net
from pycaffe_ext.proto import caffe_pb2, parse, read_blobs

FROZEN = "param { lr_mult: 0 decay_mult: 0 } param { lr_mult: 0 decay_mult: 0 }"
DATA = """layer {{ name: "data" type: "Data" top: "data" top: "label" include {{ phase: {phase} }}
  data_param {{ source: "{source}" batch_size: {batch} backend: LMDB }}
  transform_param {{ scale: 0.01 mean_value: 9 }} }}
"""
HIDDEN = """layer {{ name: "c1" type: "Convolution" bottom: "data" top: "c1" {c1}
  convolution_param {{ num_output: 4 kernel_size: 3 weight_filler {{ type: "{filler}" }} }} }}
layer {{ name: "relu1" type: "ReLU" bottom: "c1" top: "c1" }}
layer {{ name: "f2" type: "InnerProduct" bottom: "c1" top: "f2" {f2}
  inner_product_param {{ num_output: 5 weight_filler {{ type: "{filler}" }} }} }}
layer {{ name: "fc" type: "InnerProduct" bottom: "f2" top: "fc"
  inner_product_param {{ num_output: 3 weight_filler {{ type: "xavier" }} }} }}
"""
LOSS = """layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss" }
layer { name: "acc" type: "Accuracy" bottom: "fc" bottom: "label" top: "acc" include { phase: TEST } }
"""


def training(c1: str = FROZEN, f2: str = FROZEN, filler: str = "xavier") -> str:
    data = DATA.format(phase="TRAIN", source="train", batch=7) + DATA.format(phase="TEST", source="val", batch=4)
    return data + HIDDEN.format(c1=c1, f2=f2, filler=filler) + LOSS


@pytest.fixture
def folder(tmp_path) -> Path:
    """LMDBs `train` (25) and `val` (10), a net that learns fc alone, its solver, weights to start from, a score net."""
    prepare(tmp_path)
    write_lmdb(tmp_path / "val", *images(10, seed=4))
    (tmp_path / "net.prototxt").write_text(training())
    text = solver_text(random_seed=5, max_iter=12, snapshot=12, test_iter=3, test_interval=4)
    (tmp_path / "solver.prototxt").write_text(text)
    score = DATA.format(phase="TEST", source="val", batch=4) + HIDDEN.format(c1="", f2="", filler="constant")
    (tmp_path / "score.prototxt").write_text(score)
    run_ours(tmp_path, "train", "--solver=solver.prototxt", "--cache_gb=0")
    shutil.move(tmp_path / "snap_iter_12.caffemodel", tmp_path / "donor.caffemodel")
    return tmp_path


@pytest.fixture(autouse=True)
def reading_pays(monkeypatch):
    """Have computing seem slow: layers as small as these may be faster than a copy."""
    compute = prefix.FrozenPrefix._compute
    monkeypatch.setattr(prefix.FrozenPrefix, "_compute", lambda self, net: compute(self, net) + 1000)


@pytest.fixture
def computed(monkeypatch) -> list[str]:
    """The names of the layers that ran."""
    ran: list[str] = []
    run = Net.run_layer

    def noted(net: Net, i: int):
        ran.append(net.layer_names[i])
        return run(net, i)

    monkeypatch.setattr(Net, "run_layer", noted)
    return ran


def train(folder: Path, *flags: str) -> dict[str, list[np.ndarray]]:
    run_ours(folder, "train", "--solver=solver.prototxt", "--weights=donor.caffemodel", *flags)
    return read_blobs(folder / "snap_iter_12.caffemodel")


def score(folder: Path, *flags: str, weights: str = "snap_iter_12.caffemodel") -> list[str]:
    log = run_ours(folder, "test", "--model=score.prototxt", f"--weights={weights}", "--iterations=3", *flags)
    return re.findall(r"\] (Batch .*|fc = .*|label = .*)$", log, re.M)


def assert_equal(a: dict[str, list[np.ndarray]], b: dict[str, list[np.ndarray]]) -> None:
    assert a.keys() == b.keys()
    assert all(np.array_equal(x, y) for name in a for x, y in zip(a[name], b[name], strict=True))


def files(folder: Path) -> list[Path]:
    return sorted((folder / "shared").rglob("*.rows"))


def test_trainings_are_bit_equal_and_the_second_computes_no_frozen_layer(folder, computed):
    private = train(folder, "--cache_gb=1")
    first = train(folder, "--cache_gb=1", "--cache_dir=shared")
    assert "c1" in computed and len(files(folder)) == 2, "of the training and the validation records"
    computed.clear()
    second = train(folder, "--cache_gb=1", "--cache_dir=shared")
    assert not {"c1", "f2", "data"} & set(computed) and "fc" in computed
    assert_equal(first, private)
    assert_equal(second, private)


@pytest.mark.parametrize("turned", [False, True])
def test_blobs_in_another_order_than_the_files_are_kept_and_read(folder, computed, monkeypatch, turned):
    """Digests decide the order in a file; one of the two is not the net's."""
    digests = content.blob_digests

    def ordered(*given):
        found = digests(*given)
        return {key: bytes(255 - byte for byte in digest) if turned else digest for key, digest in found.items()}

    monkeypatch.setattr(content, "blob_digests", ordered)
    private = train(folder, "--cache_gb=1")
    log = run_ours(
        folder, "train", "--solver=solver.prototxt", "--weights=donor.caffemodel", "--cache_gb=1", "--cache_dir=shared"
    )
    assert log.count("records are kept in a shared file") == 2
    assert_equal(read_blobs(folder / "snap_iter_12.caffemodel"), private)
    computed.clear()
    plain = score(folder)
    assert score(folder, "--cache_gb=1", "--cache_dir=shared") == plain and computed.count("c1") == 3


def test_scoring_reads_what_the_training_has_stored_and_says_the_same(folder, computed):
    train(folder, "--cache_gb=1", "--cache_dir=shared")
    plain = score(folder)
    computed.clear()
    assert score(folder, "--cache_gb=1", "--cache_dir=shared") == plain and len(plain) > 30
    assert computed == ["fc"] * 3


def test_other_records_are_stored_under_the_same_layers(folder, computed):
    """Test samples, which no training sees: the first to score them stores, the next reads."""
    train(folder, "--cache_gb=1", "--cache_dir=shared")
    shutil.rmtree(folder / "val")
    write_lmdb(folder / "val", *images(10, seed=8))
    plain = score(folder)
    for expected in (True, False):
        computed.clear()
        assert score(folder, "--cache_gb=1", "--cache_dir=shared") == plain
        assert ("c1" in computed) == expected
    assert len(files(folder)) == 3


def test_a_copy_of_the_records_elsewhere_finds_the_rows(folder, computed):
    train(folder, "--cache_gb=1", "--cache_dir=shared")
    write_lmdb(folder / "copied", *images(10, seed=4))
    net = folder / "score.prototxt"
    net.write_text(net.read_text().replace('"val"', '"copied"'))
    computed.clear()
    score(folder, "--cache_gb=1", "--cache_dir=shared")
    assert computed == ["fc"] * 3 and len(files(folder)) == 2


def test_other_weights_have_rows_of_their_own(folder):
    train(folder, "--cache_gb=1", "--cache_dir=shared")
    plain = score(folder)
    solver = folder / "solver.prototxt"
    solver.write_text(solver.read_text().replace("random_seed: 5", "random_seed: 6"))
    run_ours(folder, "train", "--solver=solver.prototxt", "--cache_gb=1", "--cache_dir=shared")  # from the fillers
    assert len(files(folder)) == 4
    assert score(folder) == score(folder, "--cache_gb=1", "--cache_dir=shared") != plain


def test_a_net_that_only_scores_stores_nothing_that_no_training_uses(folder, computed):
    (folder / "shared").mkdir()
    assert score(folder, "--cache_dir=shared", weights="donor.caffemodel") == score(folder, weights="donor.caffemodel")
    assert not files(folder) and computed.count("c1") == 6


@pytest.mark.parametrize("deeper", [True, False])
def test_each_depth_has_its_boundary_and_scoring_takes_the_longest(folder, computed, deeper):
    """A scheme that learns f2 as well stores what f2 reads; its snapshots have another f2."""
    train(folder, "--cache_gb=1", "--cache_dir=shared")
    (folder / "net.prototxt").write_text(training(f2="", filler="gaussian"))
    train(folder, "--cache_gb=1", "--cache_dir=shared")
    assert len(files(folder)) == 4
    weights = "snap_iter_12.caffemodel" if deeper else "donor.caffemodel"
    plain = score(folder, weights=weights)
    computed.clear()
    assert score(folder, "--cache_gb=1", "--cache_dir=shared", weights=weights) == plain
    assert computed == (["f2", "fc"] if deeper else ["fc"]) * 3


def test_another_seed_of_the_same_records_and_donor_finds_the_rows(folder, computed):
    train(folder, "--cache_gb=1", "--cache_dir=shared")
    solver = folder / "solver.prototxt"
    solver.write_text(solver.read_text().replace("random_seed: 5", "random_seed: 6"))
    private = train(folder, "--cache_gb=1")
    computed.clear()
    assert_equal(train(folder, "--cache_gb=1", "--cache_dir=shared"), private)
    assert not {"c1", "f2", "data"} & set(computed) and len(files(folder)) == 2


def deepen(folder: Path, **params: str) -> None:
    """Let the net of the trainings that follow learn other layers."""
    (folder / "net.prototxt").write_text(training(**params))


def test_a_deeper_prefix_starts_from_the_rows_of_a_shallower_one(folder, computed):
    """Training and validation nets alike, from the first batch on; the pixels are not read."""
    private = train(folder, "--cache_gb=1")
    deepen(folder, f2="")
    train(folder, "--cache_gb=1", "--cache_dir=shared")
    deepen(folder)
    computed.clear()
    log = run_ours(
        folder, "train", "--solver=solver.prototxt", "--weights=donor.caffemodel", "--cache_gb=1", "--cache_dir=shared"
    )
    assert log.count("begins with what is stored of its first") == 2
    assert_equal(read_blobs(folder / "snap_iter_12.caffemodel"), private)
    assert not {"c1", "relu1", "data"} & set(computed)
    assert computed.count("f2") == 4 + 3, "a pass over each database"
    assert len(files(folder)) == 4, "nothing is stored that was not before"
    computed.clear()
    assert_equal(train(folder, "--cache_gb=1", "--cache_dir=shared"), private)
    assert "f2" not in computed


def test_the_other_order_of_depths_gives_the_same(folder, computed):
    deepen(folder, f2="")
    private = train(folder, "--cache_gb=1")
    deepen(folder)
    train(folder, "--cache_gb=1", "--cache_dir=shared")
    deepen(folder, f2="")
    computed.clear()
    assert_equal(train(folder, "--cache_gb=1", "--cache_dir=shared"), private)
    assert "c1" in computed, "nothing shallower is there"


def test_scoring_other_records_starts_from_what_a_shallower_scheme_has_scored(folder, computed):
    """Test samples: the snapshot of each depth reads what the one before has stored."""
    deepen(folder, f2="")
    train(folder, "--cache_gb=1", "--cache_dir=shared")
    shutil.move(folder / "snap_iter_12.caffemodel", folder / "shallow.caffemodel")
    deepen(folder)
    train(folder, "--cache_gb=1", "--cache_dir=shared")
    shutil.rmtree(folder / "val")
    write_lmdb(folder / "val", *images(10, seed=8))
    score(folder, "--cache_gb=1", "--cache_dir=shared", weights="shallow.caffemodel")
    plain = score(folder)
    computed.clear()
    assert score(folder, "--cache_gb=1", "--cache_dir=shared") == plain
    assert "c1" not in computed and computed.count("f2") == 3


def test_shallower_rows_with_a_gap_are_read_as_far_as_they_go(folder, computed):
    deepen(folder, f2="")
    train(folder, "--cache_gb=1", "--cache_dir=shared")
    for file in files(folder):
        rows, count = {25 * 677 + 1: (25 * 676, 25), 10 * 677 + 1: (10 * 676, 10)}[file.stat().st_size]
        content = file.read_bytes()
        file.write_bytes(content[:rows] + b"\1" * (count // 2) + bytes(count - count // 2) + content[-1:])
    deepen(folder)
    private = train(folder, "--cache_gb=1")
    computed.clear()
    assert_equal(train(folder, "--cache_gb=1", "--cache_dir=shared"), private)
    assert 0 < computed.count("c1") < computed.count("f2")


@pytest.mark.parametrize("cause", ["other weights", "reading does not pay"])
def test_where_shallower_rows_cannot_help_the_pixels_are_read(folder, computed, monkeypatch, cause):
    deepen(folder, f2="")
    train(folder, "--cache_gb=1", "--cache_dir=shared")
    deepen(folder)
    if cause == "other weights":
        solver = folder / "solver.prototxt"
        solver.write_text(solver.read_text().replace("random_seed: 5", "random_seed: 6"))
        run_ours(folder, "train", "--solver=solver.prototxt", "--cache_gb=0")  # from the fillers
        shutil.copy(folder / "snap_iter_12.caffemodel", folder / "donor.caffemodel")
    else:
        monkeypatch.setattr(shared.SharedRows, "pays", False)
    private = train(folder, "--cache_gb=1")
    computed.clear()
    assert_equal(train(folder, "--cache_gb=1", "--cache_dir=shared"), private)
    assert "c1" in computed


def test_without_room_in_the_folder_a_prefix_starts_from_shallower_rows_too(folder, computed, monkeypatch):
    """Its own rows are then in the memory of the process."""
    deepen(folder, f2="")
    train(folder, "--cache_gb=1", "--cache_dir=shared")
    deepen(folder)
    private = train(folder, "--cache_gb=1")
    monkeypatch.setattr(shared.Shared, "_make_room", lambda *_: False)
    computed.clear()
    assert_equal(train(folder, "--cache_gb=1", "--cache_dir=shared"), private)
    assert "c1" not in computed and computed.count("f2") == 4 + 3
    assert len(files(folder)) == 2


def test_rows_that_a_killed_process_had_not_finished_are_computed(folder, computed):
    plain = train(folder, "--cache_gb=1", "--cache_dir=shared")
    for file in files(folder):  # a byte a record, and one for the verdict, lie behind the rows
        rows, kept = {25 * 24 + 26: (25 * 24, 25), 10 * 24 + 11: (10 * 24, 10)}[file.stat().st_size]
        content = file.read_bytes()
        file.write_bytes(b"\xff" * rows + bytes(kept) + content[-1:])
    computed.clear()
    assert_equal(train(folder, "--cache_gb=1", "--cache_dir=shared"), plain)
    assert "c1" in computed


def test_nothing_is_shared_where_nothing_is_stored(folder):
    train(folder, "--cache_gb=0", "--cache_dir=shared")
    score(folder, "--cache_gb=0", "--cache_dir=shared")
    assert not (folder / "shared").exists()


# ---- the folder


def open_rows(folder: Path, name: bytes, bound: int, count: int = 10) -> shared.SharedRows | None:
    made = shared.Shared(folder, bound)
    source = type("Source", (), {"param": parse("data_param { batch_size: 4 }", caffe_pb2.LayerParameter())})()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(shared.Shared, "_records", lambda self, source: "records")
        return made.open(name, source, count, [(2,)], [0])


def test_what_was_opened_longest_ago_goes_first_and_what_is_in_use_stays(tmp_path):
    size = 10 * 8 + 11
    old, new = (open_rows(tmp_path, name, 2 * size) for name in (b"old", b"new"))
    assert open_rows(tmp_path, b"third", 2 * size) is None, "both are in use"
    for age, file in enumerate(sorted(tmp_path.rglob("*.rows"), key=lambda file: file.parent.name != b"old".hex())):
        os.utime(file, (age, age))
    del old, new
    gc.collect()
    third = open_rows(tmp_path, b"third", 2 * size)
    left = {bytes.fromhex(file.parent.name) for file in tmp_path.rglob("*.rows")}
    assert third is not None and left == {b"new", b"third"}
    assert open_rows(tmp_path, b"large", 2 * size, count=100) is None, "more than there may be"


def test_rows_are_seen_by_who_opens_them_next_and_are_not_written_twice(tmp_path):
    one, other = (open_rows(tmp_path, b"same", 1000) for _ in range(2))
    one.keep((0, 0, 4), [torch.arange(8.0).view(4, 2)])
    assert other.kept((0, 0, 4)) and not other.kept((0, 0, 5))
    other.keep((2, 0, 4), [torch.full((4, 2), -1.0)])
    out = [torch.zeros(6, 2)]
    one.read((0, 0, 6), out)
    assert out[0].flatten().tolist() == [*map(float, range(8)), -1, -1, -1, -1]
    assert not other.pays
    one.confirm()
    assert other.pays


def test_threads_and_precision_are_part_of_the_key(monkeypatch):
    keys = {shared._key()}
    monkeypatch.setattr(torch, "get_num_threads", lambda: 77)
    keys.add(shared._key())
    monkeypatch.setattr(options, "precision", lambda: "bf16")
    keys.add(shared._key())
    assert len(keys) == 3


CUT = """layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 2 dim: 12 } } }
layer { name: "cut" type: "Slice" bottom: "x" %s slice_param { axis: 1 %s } }"""


def first_of(cut: str, points: str = "") -> bytes:
    """The digest of the first top of a Slice with these tops, whose bottom holds the records as they are."""
    net = Net(parse(CUT % (" ".join(f'top: "{name}"' for name in cut), points), caffe_pb2.NetParameter()), 1)
    computed = content.layer_digests(net, [0, 1])
    return content.blob_digests(net, [0, 1], computed)[id(net.blobs[cut[0]])]


def test_a_slice_into_more_parts_has_other_contents():
    assert len({first_of("ab"), first_of("abcd"), first_of("ab", "slice_point: 3")}) == 3
    assert first_of("ab") == first_of("yz"), "names don't count"


def test_no_more_than_half_of_the_disk_is_taken(tmp_path, monkeypatch):
    monkeypatch.setattr(shared, "_free", lambda folder: 181)
    assert open_rows(tmp_path, b"large", 10000) is None
    monkeypatch.setattr(shared, "_free", lambda folder: 182)
    assert open_rows(tmp_path, b"large", 10000) is not None


def test_a_gpu_has_its_rows_for_itself():
    on = {kind: type("Net", (), {"device": torch.device(kind)})() for kind in ("cpu", "cuda")}
    assert prefix._shared("folder", 1, on["cpu"]) == shared.Shared(Path("folder"), 1)
    assert prefix._shared("folder", 1, on["cuda"]) is None and prefix._shared("", 1, on["cpu"]) is None
