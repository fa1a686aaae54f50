"""A pycaffe script as people write them, which runs unchanged on the genuine pycaffe and on this project's.

pycaffe_script.py FOLDER        works in FOLDER and leaves `out.npz` there
pycaffe_script.py FOLDER OTHER  afterwards: reads what another engine has written to OTHER, leaves `crossed.npz`
Both engines must leave the same arrays.
"""

import os
import sys

os.environ.setdefault("GLOG_minloglevel", "2")

import caffe
import h5py
import numpy as np
from caffe import layers as L
from caffe import params as P
from caffe.coord_map import coord_map_from_to, crop
from caffe.proto import caffe_pb2

SOLVERS = ["SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam"]
OUT = {}


class Scaled(caffe.Layer):
    """A Python layer with a parameter of its own."""

    def setup(self, bottom, top):
        self.factor = float(self.param_str)
        self.calls = []
        self.blobs.add_blob(3)
        self.blobs[0].data[...] = [1, 2, 3]

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        self.calls.append("forward")
        top[0].data[...] = self.factor * bottom[0].data * self.blobs[0].data

    def backward(self, top, propagate_down, bottom):
        self.calls.append("backward")
        self.blobs[0].diff[...] += self.factor * (top[0].diff * bottom[0].data).sum(0)
        if propagate_down[0]:
            bottom[0].diff[...] = self.factor * top[0].diff * self.blobs[0].data


class Photo:
    """An image that takes the whole-numbered floats which the genuine Detector cuts with; NumPy no longer does."""

    def __init__(self, pixels):
        self.pixels, self.shape = pixels, pixels.shape

    def __getitem__(self, place):
        return self.pixels[tuple(slice(int(part.start), int(part.stop)) for part in place)]


def specification(batch):
    n = caffe.NetSpec()
    n.data = L.Input(shape={"dim": [batch, 3, 12, 12]})
    n.label = L.Input(shape={"dim": [batch]})
    n.conv1 = L.Convolution(
        n.data,
        kernel_size=3,
        num_output=4,
        pad=1,
        weight_filler={"type": "xavier"},
        param=[{"lr_mult": 1, "decay_mult": 1}, {"lr_mult": 2, "decay_mult": 0}],
    )
    n.relu1 = L.ReLU(n.conv1, in_place=True)
    n.pool1 = L.Pooling(n.relu1, pool=P.Pooling.MAX, kernel_size=3, stride=2)
    n.norm = L.LRN(n.pool1, local_size=3, alpha=0.1)
    n.fc = L.InnerProduct(n.norm, num_output=3, weight_filler={"type": "xavier"})
    n.prob = L.Softmax(n.fc)
    n.loss = L.SoftmaxWithLoss(n.fc, n.label, loss_weight=0.5)
    n.quiet = L.Silence(n.prob, ntop=0)
    return n


def write(name, text):
    with open(name, "w") as file:
        file.write(text)
    return name


def fill(net, seed):
    rng = np.random.RandomState(seed)
    for blobs in net.params.values():
        for blob in blobs:
            blob.data[...] = rng.randn(*blob.data.shape) * 0.3


def batch_of(net, seed):
    rng = np.random.RandomState(seed)
    return {
        "data": rng.randn(*net.blobs["data"].data.shape).astype(np.float32),
        "label": rng.randint(0, 3, net.blobs["label"].data.shape).astype(np.float32),
    }


def keep(name, arrays):
    for key, array in arrays.items():
        OUT[name + ":" + key] = np.array(array)


def structure(net):
    OUT["names"] = np.array(list(net._layer_names) + list(net._blob_names))
    OUT["types"] = np.array([layer.type for layer in net.layers])
    OUT["ends"] = np.array(list(net.inputs) + list(net.outputs))
    OUT["ids"] = np.array([str((list(net._top_ids(i)), list(net._bottom_ids(i)))) for i in range(len(net.layers))])
    OUT["tops"] = np.array([str(item) for item in list(net.top_names.items()) + list(net.bottom_names.items())])
    OUT["weights"] = np.array(list(net.blob_loss_weights.values()))
    OUT["indices"] = np.array(list(net._inputs) + list(net._outputs))
    OUT["shapes"] = np.array([str(list(blob.shape)) for blob in net.blobs.values()])
    OUT["legacy"] = np.array([[b.num, b.channels, b.height, b.width, b.count] for b in net.blobs.values()])


def passes():
    net = caffe.Net(write("net.prototxt", str(specification(4).to_proto())), caffe.TRAIN)
    structure(net)
    fill(net, 0)
    batch = batch_of(net, 1)
    held = net.blobs["fc"].data
    keep("forward", net.forward(blobs=["conv1", "pool1"], **batch))
    OUT["held"] = held.copy()
    keep("backward", net.backward(diffs=["pool1", "conv1"]))
    keep("grad", {name: blobs[0].diff for name, blobs in net.params.items()})
    net.backward()
    keep("twice", {name: blobs[0].diff for name, blobs in net.params.items()})
    net.clear_param_diffs()
    OUT["cleared"] = net.params["fc"][0].diff.copy()
    net.blobs["pool1"].data[...] *= 0.5
    keep("from pool1", net.forward(start="norm", end="fc"))
    net.blobs["fc"].diff[...] = 1
    keep("down to fc", net.backward(start="fc", end="norm"))
    OUT["_forward"] = np.array(net._forward(0, len(net.layers) - 1))
    net.blobs["data"].reshape(2, 3, 9, 9)
    net.blobs["label"].reshape(2)
    net.params["fc"][0].data[...] *= 1
    return net


def sharing():
    first, second = (caffe.Net("net.prototxt", caffe.TRAIN) for _ in range(2))
    fill(first, 2)
    second.share_with(first)
    first.params["conv1"][0].data[...] *= 2
    for net, seed in ((first, 3), (second, 4)):
        keep(f"shared {seed}", net.forward(**batch_of(net, seed)))
        net.backward()
    keep("own gradients", {"first": first.params["fc"][0].diff, "second": second.params["fc"][0].diff})


def deploy(batch):
    n = specification(batch)
    del n.tops["loss"], n.tops["label"], n.tops["quiet"]
    return write("deploy.prototxt", "force_backward: true\n" + str(n.to_proto()))


def batches():
    net = caffe.Net(deploy(4), caffe.TEST)
    fill(net, 5)
    items = np.random.RandomState(6).randn(10, 3, 12, 12).astype(np.float32)
    keep("all", net.forward_all(blobs=["pool1"], data=items))
    values, gradients = net.forward_backward_all(
        blobs=["fc"], diffs=["conv1"], data=items, prob=np.random.RandomState(7).randn(10, 3).astype(np.float32)
    )
    keep("all values", values)
    keep("all gradients", gradients)
    net.save("deploy.caffemodel")


def callbacks():
    net = caffe.Net("net.prototxt", caffe.TRAIN)
    fill(net, 8)
    seen = []
    net.before_forward(lambda i: seen.append((0, i, float(np.abs(net.blobs["conv1"].data).sum()))))
    net.after_forward(lambda i: seen.append((1, i, float(np.abs(net.blobs["conv1"].data).sum()))))
    net.before_backward(lambda i: seen.append((2, i, float(np.abs(net.blobs["pool1"].diff).sum()))))
    net.after_backward(lambda i: seen.append((3, i, float(np.abs(net.blobs["pool1"].diff).sum()))))
    net.forward(**batch_of(net, 9))
    net.backward()
    OUT["callbacks"] = np.array(seen)


def solver_file(kind):
    rule = {
        "SGD": "momentum: 0.9",
        "Nesterov": "momentum: 0.9",
        "Adam": "momentum: 0.9 momentum2: 0.99",
        "AdaDelta": "momentum: 0.95 delta: 1e-6",
        "RMSProp": "rms_decay: 0.9",
    }.get(kind, "")
    kept = "HDF5" if kind == "Adam" else "BINARYPROTO"
    return write(
        f"solver_{kind}.prototxt",
        f"""net: "net.prototxt" type: "{kind}" {rule} base_lr: 0.05
        lr_policy: "step" gamma: 0.5 stepsize: 3 weight_decay: 0.001 max_iter: 6 display: 0 snapshot_prefix: "{kind}"
        test_iter: 1 test_interval: 100 test_initialization: false snapshot_after_train: false
        snapshot_format: {kept} snapshot_diff: true""",
    )


def train(kind):
    solver = getattr(caffe, kind + "Solver")(solver_file(kind))
    assert type(solver) is type(caffe.get_solver(solver_file(kind))) and isinstance(solver, caffe.SGDSolver)
    fill(solver.net, 10)
    for name, array in batch_of(solver.net, 11).items():
        solver.net.blobs[name].data[...] = array
    seen = []
    weights = solver.net.params["fc"][0]
    solver.add_callback(
        lambda: seen.append((0, solver.iter, float(np.abs(weights.diff).sum()))),
        lambda: seen.append((1, solver.iter, float(np.abs(weights.diff).sum()))),
    )
    solver.step(4)
    keep(kind + " change", {name: blobs[0].diff for name, blobs in solver.net.params.items()})
    OUT[kind + " lr"] = np.array([solver.lr, solver.iter, len(solver.test_nets), solver.param.max_iter])
    solver.snapshot()
    if kind == "Adam":
        with h5py.File("Adam_iter_4.caffemodel.h5", "r") as saved:
            keep("Adam saved change", {name: saved["diff"][name]["0"] for name in ("conv1", "fc")})
    else:
        with open(kind + "_iter_4.caffemodel", "rb") as file:
            saved = caffe_pb2.NetParameter.FromString(file.read())
        keep(
            kind + " saved change",
            {
                layer.name: caffe.io.blobproto_to_array(layer.blobs[0], return_diff=True)
                for layer in saved.layer
                if layer.blobs
            },
        )
    solver.net.forward()
    solver.net.backward()
    solver.apply_update()
    OUT[kind + " iter"] = np.array(solver.iter)
    solver.solve()
    OUT[kind + " callbacks"] = np.array(seen)
    keep(kind, {name: blobs[0].data for name, blobs in solver.net.params.items()})
    test_net = solver.test_nets[0]
    solver.share_weights(test_net)
    keep(kind + " test", test_net.forward(**batch_of(test_net, 12)))


def python_layer():
    path = write(
        "python.prototxt",
        """force_backward: true
        layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 } } }
        layer { name: "scaled" type: "Python" bottom: "data" top: "out"
                python_param { module: "pycaffe_script" layer: "Scaled" param_str: "2.5" } }""",
    )
    net = caffe.Net(path, caffe.TRAIN)
    keep("python", net.forward(data=np.arange(6, dtype=np.float32).reshape(2, 3)))
    keep("python back", net.backward(out=np.ones((2, 3), np.float32)))
    OUT["python param"] = np.array([net.params["scaled"][0].data, net.params["scaled"][0].diff])
    OUT["python calls"] = np.array(net.layers[1].calls)


def memory():
    path = write(
        "memory.prototxt",
        """layer { name: "data" type: "MemoryData" top: "data" top: "label"
        memory_data_param { batch_size: 2 channels: 1 height: 2 width: 2 } }
        layer { name: "sum" type: "Reduction" bottom: "data" top: "sum" reduction_param { axis: 1 } }
        layer { name: "quiet" type: "Silence" bottom: "label" }""",
    )
    net = caffe.Net(path, caffe.TRAIN)
    net.set_input_arrays(np.arange(16, dtype=np.float32).reshape(4, 1, 2, 2), np.arange(4, dtype=np.float32))
    for i in range(3):
        keep(f"memory {i}", net.forward(blobs=["label"]))
    try:
        caffe.Net("deploy.prototxt", caffe.TEST).set_input_arrays(
            np.zeros((4, 3, 12, 12), np.float32), np.zeros(4, np.float32)
        )
    except RuntimeError:
        OUT["no memory layer"] = np.array(True)


def images():
    rng = np.random.RandomState(13)
    photo = rng.rand(40, 50, 3).astype(np.float32)
    for size in ((40, 50), (17, 23), (80, 100), (20, 100), (1, 1), (33, 31)):
        for order in (0, 1, 3):
            if order or size in ((17, 23), (33, 31)):  # the nearest of two equally near is a matter of rounding errors
                OUT[f"resize {size} {order}"] = caffe.io.resize_image(photo * 3 - 1, size, order)
        OUT[f"grey {size}"] = caffe.io.resize_image(photo[:, :, :1], size)
        OUT[f"four {size}"] = caffe.io.resize_image(rng.rand(40, 50, 4).astype(np.float32), size)
    OUT["constant"] = caffe.io.resize_image(np.full((5, 5, 3), 7, np.float32), (3, 4))
    OUT["crops"] = caffe.io.oversample([photo, photo[::-1]], (12, 15))
    mean = rng.rand(3, 20, 20).astype(np.float32) * 255
    transformer = caffe.io.Transformer({"data": (1, 3, 12, 12)})
    transformer.set_transpose("data", (2, 0, 1))
    transformer.set_mean("data", mean)
    transformer.set_raw_scale("data", 255)
    transformer.set_channel_swap("data", (2, 1, 0))
    transformer.set_input_scale("data", 0.017)
    OUT["preprocess"] = transformer.preprocess("data", photo)
    OUT["deprocess"] = transformer.deprocess("data", OUT["preprocess"])
    settings = {"mean": mean.mean(1).mean(1), "raw_scale": 255, "channel_swap": (2, 1, 0), "input_scale": 0.02}
    classifier = caffe.Classifier("deploy.prototxt", "deploy.caffemodel", image_dims=(15, 17), **settings)
    OUT["oversampled"] = classifier.predict([photo, photo[::-1]])
    OUT["centre"] = classifier.predict([photo, photo[::-1]], oversample=False)
    caffe.io.load_image = lambda name: photo
    detector = caffe.Detector("deploy.prototxt", "deploy.caffemodel", **settings)
    found = detector.detect_windows([("a", np.array([[0, 0, 20, 20], [5, 9, 38, 40]])), ("b", [(1, 2, 13, 14)])])
    OUT["detections"] = np.array([detection["prediction"] for detection in found])
    for filling in (settings["mean"], np.resize(mean, (3, 12, 12)), None):
        settings["mean"] = filling
        detector = caffe.Detector("deploy.prototxt", "deploy.caffemodel", context_pad=2, **settings)
        for window in ([10, 12, 30, 40], [0, 0, 20, 20], [25, 30, 40, 50], [0, 5, 40, 9], [17, 0, 22, 50]):
            name = f"context {window} {None if filling is None else filling.shape}"
            OUT[name] = detector.crop(Photo(photo), np.array(window))
    OUT["windows"] = np.array([list(detection["window"]) for detection in found])


def conversions():
    values = np.random.RandomState(14).randn(2, 3, 4)
    blob = caffe.io.array_to_blobproto(values, values * 2)
    OUT["blob"] = caffe.io.blobproto_to_array(blob)
    OUT["blob diff"] = caffe.io.blobproto_to_array(blob, return_diff=True)
    OUT["blob bytes"] = np.frombuffer(blob.SerializeToString(), np.uint8)
    many = caffe.io.arraylist_to_blobprotovector_str([values, values[0]])
    OUT["vector"] = caffe.io.blobprotovector_str_to_arraylist(many)[1]
    OUT["datum"] = caffe.io.datum_to_array(caffe.io.array_to_datum(values, 3))
    OUT["datum bytes"] = np.frombuffer(caffe.io.array_to_datum(values, 3).SerializeToString(), np.uint8)
    for name, wrong in (
        ("shape", lambda: caffe.io.array_to_datum(np.zeros(3))),
        ("blob", lambda: caffe.io.blobproto_to_array(caffe_pb2.BlobProto(data=[1, 2]))),
    ):
        try:
            wrong()
        except ValueError:
            OUT["ValueError for " + name] = np.array(True)


def specifications():
    n = specification(2)
    n.deconv = L.Deconvolution(n.pool1, convolution_param={"num_output": 2, "kernel_size": 3, "stride": 2})
    n.cropped = crop(n.deconv, n.data)
    axis, scale, shift = coord_map_from_to(n.deconv, n.data)
    OUT["map"] = np.array([axis, np.ravel(scale)[0], np.ravel(shift)[0]])
    a, b = L.DummyData(shape=[{"dim": [2, 1]}, {"dim": 3}], ntop=2, transform_param={"scale": 0.5})
    anonymous = caffe.to_proto(L.Concat(a, L.Sigmoid(b, in_place=True), name="joined"), L.Power(b, power=2.0))
    for name, proto in (("named", n.to_proto()), ("anonymous", anonymous)):
        OUT["spec " + name] = np.frombuffer(proto.SerializeToString(), np.uint8)


def write_files():
    net = caffe.Net("net.prototxt", caffe.TRAIN)
    fill(net, 20)
    net.save("saved")  # without an ending: the content tells the format
    net.save_hdf5("saved_too")


def read_files(other):
    """Another engine's weights, and its snapshots to go on from."""
    net = caffe.Net("net.prototxt", caffe.TRAIN)
    batch = batch_of(net, 21)
    for weights in ("saved", "saved_too"):
        path = os.path.join(other, weights)
        keep(weights, caffe.Net("net.prototxt", caffe.TRAIN, weights=path).forward(**batch))
        keep("old form, " + weights, caffe.Net("net.prototxt", path, caffe.TRAIN).forward(**batch))
    net.load_hdf5(os.path.join(other, "saved_too"))
    keep("load_hdf5", {name: blobs[1].data for name, blobs in net.params.items()})
    here = os.getcwd()
    for kind in SOLVERS:
        solver = caffe.get_solver(solver_file(kind))
        os.chdir(other)
        solver.restore(kind + "_iter_4.solverstate" + (".h5" if kind == "Adam" else ""))
        os.chdir(here)
        for name, array in batch_of(solver.net, 11).items():
            solver.net.blobs[name].data[...] = array
        solver.step(2)
        keep("resumed " + kind, {name: blobs[0].data for name, blobs in solver.net.params.items()})


def everything():
    passes()
    sharing()
    batches()
    callbacks()
    for kind in SOLVERS:
        train(kind)
    python_layer()
    memory()
    conversions()
    specifications()
    write_files()
    images()


def main(folder, other=None):
    other = other and os.path.abspath(other)
    os.chdir(folder)
    caffe.set_mode_cpu()
    if other:
        read_files(other)
    else:
        everything()
    np.savez("crossed.npz" if other else "out.npz", **OUT)


if __name__ == "__main__":
    main(*sys.argv[1:])
