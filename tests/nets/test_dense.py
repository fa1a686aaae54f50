"""Nets that see whole regions: equal to patch by patch as far as that is possible, and no further."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from training_lab import ENGINES

from pycaffe_ext import caffe, nets
from pycaffe_ext.data.items import Samples
from pycaffe_ext.errors import UserError
from pycaffe_ext.genuine import root
from pycaffe_ext.nets import dense
from pycaffe_ext.nets.spec import NetSpec
from pycaffe_ext.nets.squeezenet import CENTRE
from pycaffe_ext.proto import caffe_pb2, write_text
from pycaffe_ext.runs.dense import DenseNet, probabilities
from pycaffe_ext.runs.settings import Settings
from pycaffe_ext.training.command import EMBEDDED, Caffe

WIDTH = {"alexnet": "1/8"}
LAST_EXACT = {"alexnet": ("pool1", 8), "squeezenet": ("fire2/squeeze1x1", 4), "googlenet": ("data", 1)}


def spec_of(arch: str) -> NetSpec:
    return NetSpec("imt", "scratch", 3, arch=arch, width=WIDTH.get(arch, 1), mean_value=(90.0,))


def deploy_of(arch: str) -> caffe_pb2.NetParameter:
    return nets.deploy(spec_of(arch))


def engine_net(net: caffe_pb2.NetParameter, size: tuple[int, int], folder: Path, name: str) -> Any:
    made = caffe_pb2.NetParameter()
    made.CopyFrom(net)
    made.layer[0].input_param.shape[0].dim[:] = (1, 3, *size)
    path = folder / f"{name}.prototxt"
    write_text(path, made)
    return caffe.Net(str(path), caffe.TEST)


@pytest.mark.parametrize(
    ("arch", "stride", "last", "first"),
    [
        ("lenet", 4, "ip2_imt", None),
        ("alexnet", 32, "pool1", "conv2"),
        ("squeezenet", 16, "fire2/relu_expand1x1", "fire2/expand3x3"),
        ("squeezenet_centre", 16, "fire2/relu_expand1x1", "fire2/expand3x3"),
        ("googlenet", 32, None, "conv1/7x7_s2"),
    ],
)
def test_which_layers_are_exact(arch, stride, last, first):
    net, image = deploy_of(arch), nets.architecture(arch).input
    exact = dense.exact_layers(net, image)
    assert dense.stride_of(net, nets.architecture(arch).output(spec_of(arch)), image) == stride
    assert (exact[-2 if arch == "lenet" else -1] if exact else None) == last
    assert first not in exact


@pytest.mark.parametrize(("size", "exact"), [(9, ["pool"]), (8, [])])
def test_a_window_that_the_border_cuts_off_is_not_exact(size, exact):
    """3 by 3 at a stride of 2: on 9 pixels the last window ends with the patch, on 8 Caffe rounds up."""
    net = caffe_pb2.NetParameter()
    first = net.layer.add(name="data", type="Input", top=["data"])
    first.input_param.shape.add(dim=[1, 3, size, size])
    pool = net.layer.add(name="pool", type="Pooling", bottom=["data"], top=["pool"])
    pool.pooling_param.kernel_size, pool.pooling_param.stride = 3, 2
    assert dense.exact_layers(net, (3, size, size)) == exact


@pytest.mark.parametrize("arch", ["alexnet", "squeezenet", "googlenet"])
def test_the_largest_step_that_is_exact_and_that_the_next_is_not(arch, tmp_path):
    """Of a region and of the patch in it: the last exact blob is equal, what comes of it is not."""
    blob, stride = LAST_EXACT[arch]
    net, image = deploy_of(arch), nets.architecture(arch).input
    size, shift = image[1], 64
    rng = np.random.default_rng(0)
    region = rng.normal(0, 40, (3, size + shift, size + shift)).astype(np.float32)
    caffe.set_random_seed(1)
    patch = engine_net(net, (size, size), tmp_path, "patch")
    wide = engine_net(dense.dense_net(net, image), (size + shift, size + shift), tmp_path, "wide")
    for name, own in patch.params.items():
        target = wide.params[name if name in wide.params else name + dense.SUFFIX]
        for source, copied in zip(own, target, strict=True):
            copied.data[...] = source.data.reshape(copied.data.shape)
    wide.blobs["data"].data[...] = region
    wide.forward()
    patch.blobs["data"].data[...] = region[:, shift:, shift:]
    patch.forward()
    at = shift // stride
    alone, within = patch.blobs[blob].data, wide.blobs[blob].data[:, :, at:, at:]
    rows, columns = alone.shape[2:]
    scale = np.abs(alone).max()
    np.testing.assert_allclose(within[:, :, :rows, :columns], alone, atol=1e-4 * scale)
    head = nets.architecture(arch).output(spec_of(arch))
    last = wide.blobs[head].data[0, :, -1, -1]
    assert np.abs(last - patch.blobs[head].data.ravel()).max() > 1e-4 * np.abs(last).max()


@dataclass(frozen=True)
class Picture:
    """An item whose picture patches are cut from as they are."""

    pixels: np.ndarray


class Places:
    """Stands in for an application: a place is the corner of its patch."""

    def canvas(self, item: Picture, size: int) -> np.ndarray:
        return item.pixels

    def corners(self, item: Picture, places: np.ndarray, size: int) -> np.ndarray:
        return places.astype(np.int64)


def samples_at(places: np.ndarray, item: np.ndarray) -> Any:
    zeros = np.zeros(len(places), np.int64)
    return Samples(item, zeros, places.astype(np.float32), zeros.astype(np.int32), zeros, np.zeros(2, np.int64))


@pytest.mark.parametrize("command", ENGINES)
@pytest.mark.parametrize(("arch", "steps"), [("lenet", (4, 1)), ("squeezenet_centre", (32, 8))])
def test_an_exact_net_is_equal_at_every_place(arch, steps, command, tmp_path):
    """Over two pictures, places on a grid and scattered, through the caffe command line: within 1e-4."""
    rng = np.random.default_rng(0)
    size = nets.architecture(arch).input[1]
    pictures = [Picture(rng.integers(0, 256, (3, size + 32 + 5 * n, size + 62), np.uint8)) for n in range(2)]
    grid = np.stack(np.meshgrid(np.arange(3, 40, steps[0]), np.arange(2, 13, steps[1])), axis=-1).reshape(-1, 2)
    places = np.concatenate([grid, rng.integers(0, 32, (20, 2))])
    item = np.repeat([0, 1], [len(grid), 20])
    score, spec = nets.score_net(spec_of(arch), "x", 1), spec_of(arch)
    write_text(tmp_path / "score_net.prototxt", score)
    caffe.set_random_seed(3)
    patch = engine_net(nets.deploy(spec), (size, size), tmp_path, "patch")
    patch.params[spec.head][0].data[...] *= 20  # so that places differ
    patch.save(str(tmp_path / "w.caffemodel"))
    head = nets.architecture(arch).output(spec)
    net = DenseNet(tmp_path / "score_net.prototxt", tmp_path / "w.caffemodel", head, 3, (3, size, size))
    found = probabilities(Caffe(command), net, Places(), pictures, samples_at(places, item), tmp_path / "dense")
    expected = []
    for (x, y), i in zip(places, item, strict=True):
        cut = pictures[i].pixels[:, y : y + size, x : x + size].astype(np.float32)
        patch.blobs["data"].data[...] = (cut - 90) * score.layer[0].transform_param.scale
        expected.append(patch.forward()["prob"].ravel().copy())
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert np.ptp(np.array(expected)[:, 0]) > 0.01, "places differ by more than the tolerance"
    assert not (tmp_path / "dense" / "test_lmdb").exists() and (tmp_path / "dense" / "dense.caffemodel").exists()


@pytest.mark.parametrize("arch", sorted(nets.ARCHITECTURES))
def test_only_exact_nets_may_see_regions(arch):
    settings = {"scheme": "scratch", "arch": arch, "dense": "1"}
    if arch in ("lenet", "squeezenet_centre"):
        assert Settings.of("imt", **settings).training.arch == arch
        return
    with pytest.raises(UserError, match=f"in a region {arch} is another net .*ARCH=lenet or squeezenet_centre"):
        Settings.of("imt", **settings)


def test_the_middle_cell_sees_what_no_padding_has_reached(tmp_path):
    """Of all 14 x 14 cells of SqueezeNet's head only that of squeezenet_centre is the same whatever lies around."""
    net, image = deploy_of("squeezenet"), (3, 227, 227)
    spec = spec_of("squeezenet")
    wide, patch = (engine_net(net, (n, n), tmp_path, str(n)) for n in (227 + 2 * 128, 227))
    for name, own in patch.params.items():
        for source, copied in zip(own, wide.params[name], strict=True):
            copied.data[...] = source.data
    region = np.random.default_rng(0).normal(0, 40, (3, 483, 483)).astype(np.float32)
    wide.blobs["data"].data[...], patch.blobs["data"].data[...] = region, region[:, 128:-128, 128:-128]
    wide.forward(), patch.forward()
    alone, within = (one.blobs[spec.head].data[0] for one in (patch, wide))
    same = np.isclose(alone, within[:, 8:22, 8:22], atol=1e-5 * np.abs(alone).max()).all(axis=0)
    cells = dense.exact_cells(net, image)[spec.head]
    assert np.argwhere(same).tolist() == [[CENTRE, CENTRE]]
    assert (cells.start, cells.end) == ((CENTRE, CENTRE), (CENTRE + 1, CENTRE + 1))


def test_a_slice_without_a_dense_form_is_refused():
    net = deploy_of("squeezenet_centre")
    (rows,) = (layer for layer in net.layer if layer.name == "rows10")
    rows.slice_param.axis = 1
    rows.slice_param.slice_point[:] = [1, 2]
    with pytest.raises(UserError, match="'rows10': only a Slice into three parts of rows or columns has a dense form"):
        dense.dense_net(net, (3, 227, 227))


@pytest.mark.genuine
def test_both_engines_give_a_padded_net_the_same_maps(tmp_path):
    """AlexNet at an eighth of its width: the files are Caffe's own, whichever Caffe runs them."""
    picture = Picture(np.random.default_rng(0).integers(0, 256, (3, 300, 320), np.uint8))
    places = np.stack(np.meshgrid([0, 8, 32, 64], [0, 32, 40]), axis=-1).reshape(-1, 2)
    write_text(tmp_path / "net.prototxt", nets.score_net(spec_of("alexnet"), "x", 1))
    caffe.set_random_seed(3)
    patch = engine_net(deploy_of("alexnet"), (227, 227), tmp_path, "patch")
    for own in patch.params.values():
        own[0].data[...] *= 2.5  # so that places differ
    patch.save(str(tmp_path / "w.caffemodel"))
    net = DenseNet(tmp_path / "net.prototxt", tmp_path / "w.caffemodel", "fc8_imt", 3, (3, 227, 227))
    samples = samples_at(places, np.zeros(len(places), np.int64))
    embedded, genuine = (
        probabilities(Caffe(command), net, Places(), [picture], samples, tmp_path / name)
        for command, name in ((EMBEDDED, "a"), ((str(root.command()),), "b"))
    )
    np.testing.assert_allclose(embedded, genuine, atol=1e-4)
    assert np.ptp(embedded, axis=0).max() > 1e-3


def test_what_has_no_dense_form_is_refused():
    net = deploy_of("lenet")
    net.layer[5].inner_product_param.axis = 2
    with pytest.raises(UserError, match="another axis"):
        dense.dense_net(net, (3, 28, 28))
    net = deploy_of("alexnet")
    net.layer[3].lrn_param.norm_region = caffe_pb2.LRNParameter.WITHIN_CHANNEL
    with pytest.raises(UserError, match="LRN has no dense form"):
        dense.dense_net(net, (3, 227, 227))
