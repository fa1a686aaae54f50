"""torchvision's nets as caffemodels: the same outputs from modules of the same names, and every refusal in one line.

torchvision itself is not needed: the modules here have its names, shapes and order of operations.
"""

import pickle

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from pycaffe_ext import caffe, nets, proto
from pycaffe_ext.command_line.main import main
from pycaffe_ext.donor import cards, torch_weights
from pycaffe_ext.donor.torch_nets import NETS
from pycaffe_ext.errors import UserError
from pycaffe_ext.proto import read_blobs

BY_ARCH = {net.arch: net for net in NETS}
CLASSES = 3


def random_state(arch, seed=0):
    """A state dict of random weights that keep the scale of a signal, with statistics and biases of their own."""
    rng, state = np.random.default_rng(seed), {}
    for tensors in BY_ARCH[arch].tensors(CLASSES).values():
        for name, shape in tensors.items():
            if len(shape) > 1:
                value = rng.standard_normal(shape, np.float32) * np.float32(np.sqrt(2 / np.prod(shape[1:])))
            elif name.endswith("running_var"):
                value = rng.uniform(0.5, 2, shape)
            elif name.endswith("weight"):  # a batch norm's; small, or a sum of many units grows
                value = rng.uniform(0.3, 0.7, shape)
            else:
                value = rng.normal(0, 0.1, shape)
            state[name] = torch.from_numpy(np.asarray(value, np.float32))
            if name.endswith("running_var"):
                state[name.replace("running_var", "num_batches_tracked")] = torch.tensor(7)
    return state


class Torch:
    """torchvision's forward passes, from a state dict, to the raw values of the classes."""

    def __init__(self, state):
        self.state = state

    def conv(self, x, name, **options):
        return functional.conv2d(x, self.state[f"{name}.weight"], self.state.get(f"{name}.bias"), **options)

    def norm(self, x, name, eps=1e-5):
        parts = (self.state[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        return functional.batch_norm(x, *parts, eps=eps)

    def linear(self, x, name):
        return functional.linear(x, self.state[f"{name}.weight"], self.state[f"{name}.bias"])

    def squeezenet(self, x):
        x = functional.relu(self.conv(x, "features.0", stride=2))
        for place in range(2, 13):
            if place in (2, 5, 8):
                x = functional.max_pool2d(x, 3, 2, ceil_mode=True)
                continue
            x = functional.relu(self.conv(x, f"features.{place}.squeeze"))
            small = functional.relu(self.conv(x, f"features.{place}.expand1x1"))
            x = torch.cat([small, functional.relu(self.conv(x, f"features.{place}.expand3x3", padding=1))], 1)
        return self.conv(x, "classifier.1").mean((2, 3))  # torchvision rectifies the map; the nets here do not

    def vgg16(self, x):
        for place in range(31):
            if place in (4, 9, 16, 23, 30):
                x = functional.max_pool2d(x, 2, 2)
            elif f"features.{place}.weight" in self.state:
                x = functional.relu(self.conv(x, f"features.{place}", padding=1))
        x = functional.adaptive_avg_pool2d(x, 7).flatten(1)
        for place in (0, 3):
            x = functional.relu(self.linear(x, f"classifier.{place}"))
        return self.linear(x, "classifier.6")

    def resnet50_torch(self, x):
        x = functional.relu(self.norm(self.conv(x, "conv1", stride=2, padding=3), "bn1"))
        x = functional.max_pool2d(x, 3, 2, padding=1)
        for stage, units in enumerate((3, 4, 6, 3), 1):
            for i in range(units):
                x = self.bottleneck(x, f"layer{stage}.{i}", 2 if stage > 1 and i == 0 else 1)
        return self.linear(x.mean((2, 3)), "fc")

    def bottleneck(self, x, unit, stride):
        made = functional.relu(self.norm(self.conv(x, f"{unit}.conv1"), f"{unit}.bn1"))
        made = self.conv(made, f"{unit}.conv2", stride=stride, padding=1)  # v1.5: here, not in conv1
        made = functional.relu(self.norm(made, f"{unit}.bn2"))
        made = self.norm(self.conv(made, f"{unit}.conv3"), f"{unit}.bn3")
        if f"{unit}.downsample.0.weight" in self.state:
            x = self.norm(self.conv(x, f"{unit}.downsample.0", stride=stride), f"{unit}.downsample.1")
        return functional.relu(made + x)

    def googlenet_torch(self, x):
        def unit(x, name, **options):
            return functional.relu(self.norm(self.conv(x, f"{name}.conv", **options), f"{name}.bn", 0.001))

        x = functional.max_pool2d(unit(x, "conv1", stride=2, padding=3), 3, 2, ceil_mode=True)
        x = functional.max_pool2d(unit(unit(x, "conv2"), "conv3", padding=1), 3, 2, ceil_mode=True)
        for module in ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b"):
            name = f"inception{module}"
            pooled = functional.max_pool2d(x, 3, 1, 1, ceil_mode=True)
            parts = [
                unit(x, f"{name}.branch1"),
                *(unit(unit(x, f"{name}.branch{i}.0"), f"{name}.branch{i}.1", padding=1) for i in (2, 3)),
                unit(pooled, f"{name}.branch4.1"),
            ]
            x = torch.cat(parts, 1)
            if module in ("3b", "4e"):
                x = functional.max_pool2d(x, 3 if module == "3b" else 2, 2, ceil_mode=True)
        return self.linear(x.mean((2, 3)), "fc")


def saved(path, content):
    torch.save(content, path)
    return path


def emitted(done, folder):
    """The deploy net that is emitted for a donor, its classifier under the donor's name."""
    arch = nets.architecture(done.net.arch)
    spec = nets.NetSpec("polyp", "scratch", done.classes, arch=done.net.arch)
    net = arch.deploy(spec)
    for layer in net.layer:
        if layer.name == spec.head:
            layer.name = done.net.head
    proto.write_text(folder / "net.prototxt", net)
    return folder / "net.prototxt", arch.output(spec)


def inputs(done):
    """(pixels R G B as torchvision prepares them, the same pixels as the card prepares them) of one noisy image."""
    side = nets.architecture(done.net.arch).input[-1]
    pixels = np.random.default_rng(5).integers(0, 256, (1, 3, side, side)).astype(np.float64)  # R G B
    mean, std = (np.array(values)[:, None, None] for values in (done.net.mean, done.net.std))
    card = cards.read_card(done.card, done.weights)
    ours = (pixels[:, ::-1] - np.array(card.mean_value)[:, None, None]) * card.scale
    return torch.from_numpy(((pixels / 255 - mean) / std).astype(np.float32)), ours.astype(np.float32)


@pytest.mark.parametrize(
    "arch",
    [
        "squeezenet",
        "resnet50_torch",
        "googlenet_torch",
        pytest.param("vgg16", marks=pytest.mark.slow),
    ],
)
def test_the_emitted_net_computes_what_torchvision_does(tmp_path, arch):
    state = random_state(arch)
    done = torch_weights.import_weights(saved(tmp_path / "a.pth", state), tmp_path / "a.caffemodel")
    assert (done.net.arch, done.classes) == (arch, CLASSES)
    theirs, ours = inputs(done)
    with torch.no_grad():
        wanted = getattr(Torch(state), arch)(theirs).numpy()
    model, output = emitted(done, tmp_path)
    net = caffe.Net(str(model), str(done.weights), caffe.TEST)
    net.blobs["data"].data[...] = ours
    net.forward()
    found = net.blobs[output].data.reshape(1, CLASSES)
    assert np.ptp(wanted) > 1e-3
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4 * np.abs(wanted).max())


@pytest.mark.genuine
def test_the_genuine_caffe_computes_it_too(tmp_path):
    import genuine_python

    state = random_state("resnet50_torch")
    done = torch_weights.import_weights(saved(tmp_path / "a.pth", state), tmp_path / "a.caffemodel")
    theirs, ours = inputs(done)
    with torch.no_grad():
        wanted = Torch(state).resnet50_torch(theirs).numpy()
    model, output = emitted(done, tmp_path)
    np.save(tmp_path / "x.npy", ours)
    script = (
        "import sys, caffe, numpy as np\nnet = caffe.Net(sys.argv[1], sys.argv[2], caffe.TEST)\n"
        "net.blobs['data'].data[...] = np.load(sys.argv[3])\nnet.forward()\n"
        "np.save(sys.argv[4], net.blobs[sys.argv[5]].data)"
    )
    genuine_python.run("-c", script, model, done.weights, tmp_path / "x.npy", tmp_path / "y.npy", output)
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), wanted, rtol=0, atol=1e-4 * np.abs(wanted).max())


@pytest.fixture(scope="module")
def state():
    return random_state("squeezenet")


def refused(path, out, message):
    before = sorted(path.parent.iterdir())
    with pytest.raises(UserError, match=message) as caught:
        torch_weights.import_weights(path, out)
    assert "\n" not in str(caught.value) and sorted(path.parent.iterdir()) == before


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda state: {"state_dict": {f"module.{name}": value for name, value in state.items()}, "epoch": 3},
        lambda state: {"model": state},
        lambda state: {name: value.double() for name, value in state.items()},
    ],
)
def test_checkpoints_of_trainings_are_read(tmp_path, state, wrapped):
    plain = torch_weights.import_weights(saved(tmp_path / "a.pth", state), tmp_path / "a.caffemodel")
    other = torch_weights.import_weights(saved(tmp_path / "b.pth", wrapped(state)), tmp_path / "b.caffemodel")
    assert plain.weights.read_bytes() == other.weights.read_bytes()


def test_safetensors_are_read(tmp_path, state):
    torch_files = pytest.importorskip("safetensors.torch")
    torch_files.save_file(state, tmp_path / "a.safetensors")
    done = torch_weights.import_weights(tmp_path / "a.safetensors", tmp_path / "a.caffemodel")
    np.testing.assert_array_equal(read_blobs(done.weights)["conv10"][0], state["classifier.1.weight"].numpy())
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "a.safetensors").read_bytes()[:-5])
    refused(tmp_path / "cut.safetensors", tmp_path / "c.caffemodel", "cut off")


def test_the_card_and_conv1_say_the_same(tmp_path, state):
    done = torch_weights.import_weights(saved(tmp_path / "a.pth", state), tmp_path / "a.caffemodel")
    card = cards.read_card(done.card, done.weights)
    assert card.mean_value == (103.53, 116.28, 123.675) and card.scale == pytest.approx(1 / 57.63)
    assert card.arch == "squeezenet" and "times 1.0044, 1.0089, 0.9869" in card.source
    conv1, theirs = read_blobs(done.weights)["conv1"][0], state["features.0.weight"].numpy()
    for ours, rgb, remainder in ((0, 2, 1.0044), (1, 1, 1.0089), (2, 0, 0.9869)):
        np.testing.assert_allclose(conv1[:, ours], theirs[:, rgb] * remainder, rtol=1e-4)


class Code:
    def __reduce__(self):
        return print, ("run",)


def test_code_is_refused_and_not_run(tmp_path, state, capsys):
    refused(saved(tmp_path / "a.pth", {**state, "x": Code()}), tmp_path / "a.caffemodel", "asks for code")
    refused(saved(tmp_path / "b.pth", nn.Conv2d(3, 4, 3)), tmp_path / "a.caffemodel", r"asks for code.*state_dict\(\)")
    (tmp_path / "c.pth").write_bytes(pickle.dumps(Code()))
    refused(tmp_path / "c.pth", tmp_path / "a.caffemodel", "code|cut off")
    assert "run" not in capsys.readouterr().out.split()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda s: s.pop("features.3.squeeze.bias"),
            r"is no whole SqueezeNet 1\.1.*missing: features\.3\.squeeze\.bias$",
        ),
        (lambda s: s.update(extra=torch.ones(2)), r"has tensors that torchvision's SqueezeNet 1\.1 has not: extra"),
        (
            lambda s: s.update({"features.0.weight": torch.ones(64, 1, 3, 3)}),
            "shapes that differ: features.0.weight 64x1x3x3, not 64x3x3x3",
        ),
        (lambda s: s.update({"features.0.bias": torch.full((64,), float("nan"))}), "not finite: features.0.bias"),
        (lambda s: s.update({"features.0.bias": torch.ones(64, dtype=torch.int32)}), "of type torch.int32"),
        (lambda s: s.update({"features.0.bias": [1.0]}), "features.0.bias is a list, not a tensor"),
        (
            lambda s: s.update(
                {
                    "features.5.squeeze.weight": 0 * s["features.0.weight"],
                    "features.8.squeeze.weight": 0 * s["features.0.weight"],
                }
            ),
            "is SqueezeNet 1.0: its conv1 is",
        ),
        (
            lambda s: (s.clear(), s.update(a=torch.ones(1))),
            "is none of torchvision's VGG-16, SqueezeNet 1.1, ResNet-50",
        ),
    ],
)
def test_nets_that_do_not_fit_are_named(tmp_path, state, change, message):
    changed = dict(state)
    change(changed)
    refused(saved(tmp_path / "a.pth", changed), tmp_path / "a.caffemodel", message)


def test_files_that_are_no_state_dict(tmp_path, state):
    out = tmp_path / "a.caffemodel"
    whole = saved(tmp_path / "a.pth", state).read_bytes()
    (tmp_path / "cut.pth").write_bytes(whole[: len(whole) // 2])
    refused(tmp_path / "cut.pth", out, "is cut off or no file of torch.save")
    refused(saved(tmp_path / "list.pth", [torch.ones(1)]), out, "holds no state dict .* but a list")
    refused(tmp_path / "none.pth", out, "no such file")
    (tmp_path / "a.onnx").touch()
    refused(tmp_path / "a.onnx", out, "a state dict is a file ending in")
    refused(tmp_path / "a.pth", tmp_path / "a.bin", "written as .caffemodel")
    out.touch()
    refused(tmp_path / "a.pth", out, "is there already")


def test_the_command_says_how_to_go_on(tmp_path, state, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    saved(tmp_path / "squeezenet1_1-b8a52dc0.pth", state)
    main(["import-weights", "squeezenet1_1-b8a52dc0.pth", "--std", "0.5", "0.5", "0.5"])
    text = capsys.readouterr().out
    assert "ARCH=squeezenet WEIGHTS=weights/squeezenet1_1-b8a52dc0.caffemodel" in text and "3 classes" in text
    assert cards.read_card("weights/squeezenet1_1-b8a52dc0.card.prototxt").scale == pytest.approx(1 / 127.5)
    with pytest.raises(UserError, match=r"std 0\.5 0\.5 0\.0: give three numbers"):
        main(["import-weights", "squeezenet1_1-b8a52dc0.pth", "--out", "b.caffemodel", "--std", "0.5", "0.5", "0"])
