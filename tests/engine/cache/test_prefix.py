"""The frozen prefix: which layers belong to it, and that a training reads back exactly what it would compute."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

import pytest
import torch
from solver_lab import (
    assert_same_messages,
    assert_same_state,
    assert_same_weights,
    images,
    prepare,
    reading_threads,
    run_ours,
    solver_text,
    write_lmdb,
)

from pycaffe_ext.engine.cache import prefix, rows
from pycaffe_ext.engine.cache.boundary import find_boundary
from pycaffe_ext.engine.core.net import Net
from pycaffe_ext.engine.layers.data import DataLayer
from pycaffe_ext.engine.solver.solver import Solver
from pycaffe_ext.proto import caffe_pb2, parse

STILL = " param { lr_mult: 0 decay_mult: 0 }"
FROZEN = STILL * 2
DATA = """layer {{ name: "data" type: "Data" top: "data" top: "label"
  data_param {{ source: "train" batch_size: {batch} backend: LMDB }} transform_param {{ scale: 0.01 {transform} }} }}"""


def conv(name: str, bottom: str, params: str = FROZEN, top: str = "") -> str:
    return f"""layer {{ name: "{name}" type: "Convolution" bottom: "{bottom}" top: "{top or name}" {params}
      convolution_param {{ num_output: 4 kernel_size: 3 weight_filler {{ type: "gaussian" std: 0.1 }} }} }}"""


def inner(name: str, bottom: str, params: str = "", outputs: int = 3) -> str:
    return f"""layer {{ name: "{name}" type: "InnerProduct" bottom: "{bottom}" top: "{name}" {params}
      inner_product_param {{ num_output: {outputs} weight_filler {{ type: "gaussian" std: 0.1 }} }} }}"""


def simple(kind: str, bottoms: str, top: str, settings: str = "") -> str:
    ends = "".join(f' bottom: "{b}"' for b in bottoms.split())
    return f'layer {{ name: "{kind.lower()}_{top}" type: "{kind}"{ends} top: "{top}" {settings} }}'


LOSS = simple("SoftmaxWithLoss", "fc label", "loss")
ACCURACY = simple("Accuracy", "fc label", "acc", "include { phase: TEST }")
PLAIN = [conv("c1", "data"), simple("ReLU", "c1", "c1"), inner("fc", "c1"), LOSS, ACCURACY]
DROPOUT = [
    conv("c1", "data"),
    simple("ReLU", "c1", "c1"),
    simple("Dropout", "c1", "c1"),
    inner("f2", "c1", FROZEN, 5),
    inner("fc", "f2"),
    LOSS,
    ACCURACY,
]
BRANCHES = [
    conv("c1", "data"),
    conv("a", "c1"),
    conv("b", "c1", ""),
    simple("Eltwise", "a b", "sum"),
    inner("fc", "sum"),
    LOSS,
    ACCURACY,
]


def net_text(layers: list[str], transform: str = "", batch: int = 7) -> str:
    return "\n".join([DATA.format(transform=transform, batch=batch), *layers])


@pytest.fixture
def database(tmp_path):
    """The working directory, with an LMDB `train` of 25 images of 3x8x9."""
    write_lmdb(tmp_path / "train", *images(25))
    with contextlib.chdir(tmp_path):
        yield tmp_path


@pytest.fixture
def reading_pays(monkeypatch):
    """Have computing seem slow: layers as small as these may be faster than a copy."""
    compute = prefix.FrozenPrefix._compute
    monkeypatch.setattr(prefix.FrozenPrefix, "_compute", lambda self, net: compute(self, net) + 1000)


# ---- where it ends


def boundary(layers: list[str], transform: str = "", phase: int = caffe_pb2.TRAIN, extra: str = "") -> set[str] | None:
    net = Net(parse(extra + net_text(layers, transform), caffe_pb2.NetParameter()), phase)
    found = find_boundary(net)
    return None if found is None else {name for name, blob in net.blobs.items() if blob in found.blobs}


def norm(gathered: str) -> str:
    return simple("BatchNorm", "c1", "n", f"batch_norm_param {{ use_global_stats: {gathered} }}" + STILL * 3)


BOUNDARIES = {
    "a layer in place belongs to its blob": (PLAIN, {"c1", "label"}),
    "random dropout ends it": (DROPOUT, {"c1", "label"}),
    "a blob with two readers is stored once": (BRANCHES, {"a", "c1", "label"}),
    "what BatchNorm has gathered": ([conv("c1", "data"), norm("true"), inner("fc", "n"), LOSS], {"n", "label"}),
    "BatchNorm gathers": ([conv("c1", "data"), norm("false"), inner("fc", "n"), LOSS], {"c1", "label"}),
    "an axis that mixes items": (
        [
            conv("c1", "data"),
            simple("Concat", "c1 c1", "n", "concat_param { axis: 0 }"),
            simple("Slice", "n", "m", 'slice_param { axis: 0 } top: "rest"'),
            inner("fc", "m"),
            LOSS,
        ],
        {"c1", "label"},
    ),
    "factors along the channels, of which there are as many as items": (
        [conv("c1", "data"), inner("f7", "c1", FROZEN, 7), simple("Scale", "f7 label", "n"), inner("fc", "n"), LOSS],
        {"f7", "label"},
    ),
    "summands along the channels, of which there are as many as items": (
        [conv("c1", "data"), inner("f7", "c1", FROZEN, 7), simple("Bias", "f7 label", "n"), inner("fc", "n"), LOSS],
        {"f7", "label"},
    ),
    "an output that is logged": (
        [conv("c1", "data"), inner("seen", "c1", FROZEN), inner("fc", "data"), LOSS],
        {"seen", "data", "label"},
    ),
    "weights shared with a layer that learns": (
        [
            conv("c1", "data"),
            inner("f2", "c1", 'param { name: "w" } param { lr_mult: 0 }'),
            inner("f3", "c1", 'param { name: "w" } param { lr_mult: 0 }'),
            simple("Eltwise", "f2 f3", "fc"),
            LOSS,
        ],
        {"c1", "label"},
    ),
    "weights that decay without a loss": (
        [conv("c1", "data"), inner("lost", "c1"), inner("fc", "c1"), LOSS],
        {"c1", "label"},
    ),
    "nothing but data": ([conv("c1", "data", ""), inner("fc", "c1"), LOSS], None),
    "a loss below": (
        [
            conv("c1", "data"),
            inner("f2", "c1", FROZEN),
            simple("EuclideanLoss", "f2 f2", "l2"),
            inner("fc", "f2"),
            LOSS,
        ],
        {"f2", "label"},
    ),
}


@pytest.mark.parametrize("layers, expected", BOUNDARIES.values(), ids=BOUNDARIES)
def test_where_the_prefix_ends(layers, expected, database):
    assert boundary(layers) == expected


def test_dropout_does_nothing_in_a_test_net(database):
    assert boundary(DROPOUT, phase=caffe_pb2.TEST) == {"f2", "label"}


def test_a_random_crop_a_mirror_or_force_backward_leave_no_prefix(database):
    assert boundary(PLAIN, "mirror: true") is None
    assert boundary(PLAIN, "crop_size: 6") is None
    assert boundary(PLAIN, "crop_size: 6", caffe_pb2.TEST) is not None
    assert boundary(PLAIN, extra="force_backward: true\n") is None


# ---- the same training


def train(folder: Path, cache: str, *more: str) -> str:
    """Train in `folder` with or without a cache; its log.  Snapshots are copied to `cache`_iter_..."""
    log = run_ours(folder, "train", "--solver=solver.prototxt", f"--cache_gb={cache}", *more)
    assert ("records are kept" in log) == (float(cache) > 0)
    for file in folder.glob("snap_iter_*"):
        shutil.copy(file, folder / file.name.replace("snap", cache))
    return log


def prepared(folder: Path, layers: list[str], transform: str = "", batch: int = 7, **solver: object) -> Path:
    prepare(folder)
    (folder / "net.prototxt").write_text(net_text(layers, transform, batch))
    (folder / "solver.prototxt").write_text(solver_text(**{"random_seed": 5, "max_iter": 24, "snapshot": 12, **solver}))
    return folder


def assert_same_training(folder: Path, end: int = 24, caches: tuple[str, str] = ("0", "1")) -> str:
    """Train with both caches; the same log, weights and state to 1e-6.  Returns the second log."""
    without, with_cache = (train(folder, cache) for cache in caches)
    assert_same_messages(with_cache, without, rtol=2e-6)
    assert with_cache.count("Restarting") == without.count("Restarting")
    assert_same_weights(*(folder / f"{cache}_iter_{end}.caffemodel" for cache in caches), 1e-6)
    assert_same_state(*(folder / f"{cache}_iter_{end}.solverstate" for cache in caches), 1e-6)
    return with_cache


SAME = {
    "plain": {"layers": PLAIN},
    "dropout above": {"layers": DROPOUT},
    "branches": {"layers": BRANCHES},
    "a batch that divides the records": {"layers": PLAIN, "batch": 5},
    "a batch larger than the database": {"layers": DROPOUT, "batch": 60},
    "iter_size": {"layers": DROPOUT, "iter_size": 2},
    "frozen weights whose decay is gathered": {
        "layers": [conv("c1", "data", "param { lr_mult: 0 } param { lr_mult: 0 }"), inner("fc", "c1"), LOSS, ACCURACY],
        "type": '"AdaGrad"',
        "momentum": None,
    },
    "mean values": {"layers": PLAIN, "transform": "mean_value: 100"},
}


@pytest.mark.parametrize("case", SAME.values(), ids=SAME)
def test_a_training_is_the_same_with_and_without(case, tmp_path, reading_pays):
    log = assert_same_training(prepared(tmp_path, **case))
    assert "25 of 25 records are kept in memory" in log


def test_some_of_the_records_fit(tmp_path, reading_pays):
    """A row is 4 channels of 6x7 and the label: 676 bytes; of 11, two whole batches are never all there."""
    prepared(tmp_path, PLAIN, batch=3, test_iter=None, test_interval=None)
    log = assert_same_training(tmp_path, caches=("0", "0.0000075"))
    assert "11 of 25 records are kept in memory" in log


def test_rows_beyond_the_memory_are_in_a_file_without_a_name(tmp_path, reading_pays, monkeypatch):
    monkeypatch.setattr(prefix, "available_memory", lambda: 2 * 676 * 10)
    monkeypatch.setattr(prefix.tempfile, "gettempdir", lambda: str(tmp_path / "files"))
    (tmp_path / "files").mkdir()
    prepared(tmp_path, PLAIN, batch=3, test_iter=None, test_interval=None)
    log = assert_same_training(tmp_path)
    assert "10 of 25 records are kept in memory" in log and "15 of 25 records are kept in a temporary file" in log
    assert not os.listdir(tmp_path / "files")


def test_a_resumed_training_fills_its_own_rows(tmp_path, reading_pays):
    prepared(tmp_path, DROPOUT)
    train(tmp_path, "1")
    resumed = [train(tmp_path, cache, "--snapshot=snap_iter_12.solverstate") for cache in ("2", "0")]
    assert_same_messages(*resumed, rtol=2e-6)
    assert_same_weights(tmp_path / "2_iter_24.caffemodel", tmp_path / "0_iter_24.caffemodel", 1e-6)


def test_nothing_is_kept_where_reading_does_not_pay(tmp_path, monkeypatch):
    compute = prefix.FrozenPrefix._compute
    monkeypatch.setattr(prefix.FrozenPrefix, "_compute", lambda self, net: compute(self, net) * 0)
    prepared(tmp_path, PLAIN)
    assert "nothing is kept" in run_ours(tmp_path, "train", "--solver=solver.prototxt", "--cache_gb=1")


def test_debug_info_shows_every_layer(tmp_path, reading_pays):
    prepared(tmp_path, PLAIN, debug_info="true")
    assert "Frozen prefix" not in run_ours(tmp_path, "train", "--solver=solver.prototxt", "--cache_gb=1")


# ---- while it runs


def solver(layers: list[str], cache_gb: float | None, **settings: object) -> Solver:
    """A solver in this directory whose nets come from `layers`."""
    Path("net.prototxt").write_text(net_text(layers))
    text = solver_text(**{"random_seed": 5, "display": None, "snapshot": None, "momentum": 0.0, **settings})
    made = Solver(parse(text, caffe_pb2.SolverParameter()))
    prefix.attach(made, cache_gb)
    return made


def test_the_database_is_left_alone_once_all_rows_are_there(database, reading_pays):
    before = reading_threads()
    made = solver(PLAIN, 1, test_iter=None, test_interval=None)
    made.step(3)
    assert reading_threads() == before + 1
    made.step(5)
    ran = []
    made.net.before_forward.append(ran.append)
    made.step(2)
    assert reading_threads() == before
    assert [made.net.layer_names[i] for i in ran] == ["fc", "softmaxwithloss_loss"] * 2


@pytest.mark.parametrize("change", ["in place", "another tensor", "copied in"])
def test_rows_do_not_outlive_the_weights_they_came_from(change, database, reading_pays):
    def train_twice(cache_gb: float) -> torch.Tensor:
        made = solver(PLAIN, cache_gb, test_interval=1000)
        made.step(8)
        weight = made.net.layers[1].blobs[0]
        if change == "in place":
            weight.data *= 1.5
        elif change == "another tensor":
            weight.data = weight.data * 1.5
        else:
            other = made.net.to_proto()
            values = next(layer for layer in other.layer if layer.name == "c1").blobs[0].data
            values[:] = [1.5 * value for value in values]
            made.net.copy_trained_layers_from(other)
        made.step(8)
        return made.net.learnable_params[2].data

    with_rows, without = train_twice(1), train_twice(0)
    assert torch.allclose(with_rows, without, rtol=1e-6, atol=1e-7)
    assert not torch.equal(without, solver(PLAIN, 0).net.learnable_params[2].data)


def test_rows_do_not_outlive_the_records_they_came_from(database, reading_pays, monkeypatch):
    made = solver(PLAIN, 1, test_interval=1000)
    made.step(8)
    ran = []
    made.net.before_forward.append(ran.append)
    made.step(1)
    assert 0 not in ran
    monkeypatch.setattr(DataLayer, "state", property(lambda layer: ("another transaction",)))
    made.step(1)
    assert 0 in ran


def test_by_default_a_quarter_of_the_memory(database, monkeypatch):
    monkeypatch.setattr(prefix, "available_memory", lambda: 4 * 676 * 10)
    made = solver(PLAIN, None, test_interval=1000)
    kept = [net.planner._tiers[0].rows for net in (made.net, *made.test_nets) if net.planner]
    assert sum(one.bytes for one in kept) <= 676 * 10 and kept[0].count == 10
    monkeypatch.setattr(prefix, "available_memory", lambda: 0)
    assert solver(PLAIN, None, test_interval=1000).net.planner is None


# ---- rows


@pytest.mark.parametrize("records", [1, 4, 7, 25])
def test_pieces_walk_round_and_round(records):
    for position in range(records):
        for batch in (1, 3, 8):
            walked = [None] * batch
            for record, place, count in rows.pieces(position, batch, records):
                walked[place : place + count] = range(record, record + count)
            assert walked == [(position + i) % records for i in range(batch)]


@pytest.mark.parametrize("in_file", [False, True])
def test_rows_come_back_as_they_were_kept(in_file, tmp_path):
    store = rows.Rows(5, 10, [(2, 3), ()], str(tmp_path) if in_file else None)
    batch = [torch.randn(8, 2, 3), torch.arange(8.0)]
    store.keep((3, 0, 8), batch)  # records 3 to 10: 5 to 10 lie within
    assert store.kept((5, 0, 6)) and not store.kept((4, 0, 2)) and not store.kept((10, 0, 2))
    assert not store.covers((14, 0, 2))
    store.send_to_disk()
    out = [torch.zeros(4, 2, 3), torch.zeros(4)]
    store.read((6, 1, 3), out)
    for got, values in zip(out, batch, strict=True):
        assert torch.equal(got[1:], values[3:6]) and not got[0].any()
    assert not os.listdir(tmp_path)
    store.forget()
    assert not store.kept((5, 0, 1))


def test_a_file_that_does_not_fit_is_refused_at_once(tmp_path):
    with pytest.raises(OSError):
        rows.Rows(0, 1 << 30, [(1 << 20,)], str(tmp_path))
    assert not os.listdir(tmp_path)


def test_rows_of_a_database_whose_name_is_not_utf8(database, reading_pays):
    """What may have changed is asked in each pass; py-lmdb itself can't say such a path."""
    os.rename("train", b"tr\xe9n")
    Path("net.prototxt").write_text(net_text(PLAIN).replace('"train"', r'"tr\351n"'))
    made = Solver(parse(solver_text(test_iter=None, test_interval=None), caffe_pb2.SolverParameter()))
    prefix.attach(made, 1)
    made.step(8)
    assert made.net.planner is not None and made.iter == 8
