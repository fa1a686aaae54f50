"""The nets and solvers of the rows, as prototxt files in the lab's folder; the very same files for both sides."""

from __future__ import annotations

from pathlib import Path

from benchmarks.materials import CLASSES, mean_of, records
from benchmarks.rows import Lab
from pycaffe_ext import nets, proto
from pycaffe_ext.nets.layers import TRAIN, data, layer, transform_param
from pycaffe_ext.proto import caffe_pb2

RECORDS = 512  # of 227 x 227: an epoch of 4 iterations at batch 128
READ_RECORDS, READ_SIDE, READ_CROP, READ_BATCH = 2560, 256, 227, 128


def alexnet(lab: Lab, scheme: str, batch: int) -> Path:
    """train_val of the paper's AlexNet at full width, reading raw 227 x 227 Datums minus a mean image."""
    source = str(records(lab, RECORDS, 227))
    spec = nets.NetSpec(
        app="polyp",
        scheme=scheme,
        classes=CLASSES,
        train_source=source,
        val_source=source,
        mean_file=str(mean_of(lab, 227)),
        batch_size=batch,
        val_batch_size=batch,
    )
    return _write(lab, f"alexnet-{scheme}-{batch}", nets.train_val(spec))


def on_noise(lab: Lab, batch: int, arch: str = "alexnet") -> Path:
    """`noise_net` as a file."""
    return _write(lab, f"{arch}-noise-{batch}", noise_net(batch, arch))


def noise_net(batch: int, arch: str) -> caffe_pb2.NetParameter:
    """A net at full width fed by a DummyData layer, which draws its images where the net runs: training without
    reading."""
    found = nets.ARCHITECTURES[arch]
    net = found.train_val(nets.NetSpec(app="polyp", scheme="scratch", classes=CLASSES, batch_size=batch, arch=arch))
    kept = [part for part in net.layer if part.type != "Data"]
    noise = layer("data", "DummyData", [], ["data", "label"])
    noise.dummy_data_param.shape.add(dim=(batch, *found.input))
    noise.dummy_data_param.shape.add(dim=(batch,))
    noise.dummy_data_param.data_filler.add(type="gaussian", std=60 * found.scale)
    noise.dummy_data_param.data_filler.add(type="constant", value=0)
    del net.layer[:]
    net.layer.extend([noise, *kept])
    return net


def reader(lab: Lab) -> Path:
    """Nothing but a Data layer: raw 256 x 256 Datums, random crop and mirror, minus a mean image."""
    source, mean = str(records(lab, READ_RECORDS, READ_SIDE)), str(mean_of(lab, READ_SIDE))
    transform = transform_param(mean, crop_size=READ_CROP, mirror=True)
    return _write(lab, "reader", caffe_pb2.NetParameter(layer=[data(source, transform, READ_BATCH, TRAIN)]))


def solver(lab: Lab, net: Path, display: int = 1) -> Path:
    """Table II's solver for `net`: it trains until it is stopped, without testing and without snapshots."""
    spec = nets.NetSpec(app="polyp", scheme="scratch", classes=CLASSES)
    param = nets.solver(
        spec, nets.Schedule(RECORDS, 1), net=str(net), snapshot_prefix=str(lab.folder / "snapshot"), seed=1
    )
    for unused in ("test_iter", "test_interval", "test_initialization", "snapshot", "stepsize", "gamma"):
        param.ClearField(unused)
    param.lr_policy, param.base_lr = "fixed", 1e-4
    param.max_iter, param.display, param.snapshot_after_train = 1_000_000, display, False
    return _write(lab, f"{net.stem}-solver", param)


def no_weights(lab: Lab) -> Path:
    """A caffemodel of a layer that no net has, for `caffe test`, which asks for one: blobs keep what fillers drew."""
    file = lab.folder / "nets" / "empty.caffemodel"
    proto.write_weights(file, caffe_pb2.NetParameter(name="empty", layer=[layer("none", "Silence", [], [])]))
    return file


def _write(lab: Lab, name: str, message: caffe_pb2.NetParameter | caffe_pb2.SolverParameter) -> Path:
    path = lab.folder / "nets" / f"{name}.prototxt"
    proto.write_text(path, message)
    return path
