"""The nets that ARCH= selects, in one table, and what is made of each: a net that learns, one to use, one to score."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from pycaffe_ext.errors import known
from pycaffe_ext.nets import alexnet, caffenet, googlenet, googlenet_torch, lenet, resnet50, squeezenet, vgg16
from pycaffe_ext.nets.layers import (
    TEST,
    TRAIN,
    Layer,
    accuracy,
    data,
    input_blob,
    learn_as_new,
    softmax,
    softmax_with_loss,
    transform_param,
)
from pycaffe_ext.nets.spec import NetSpec
from pycaffe_ext.proto import caffe_pb2

BVLC_BATCH = 256  # BVLC AlexNet's and CaffeNet's; the paper gives none
DEEP_BATCH = 32  # that of the published GoogLeNet and SqueezeNet; VGG-16's and ResNet-50's 256 took several GPUs
LENET_BATCH = 64


@dataclass(frozen=True)
class Architecture:
    """A net as a generator; `spec` in its methods is taken for this architecture, whatever `spec.arch` says.

    title : in the prototxt's name.  input : channels B, G, R; rows; columns of a patch.
    layers : (spec, in_use) -> layers from the blob `data` to the head.
    heads : published names of the classifiers that are new for each application, the main one last.
    batch_size : of training, where none is given.  scores : blob of the raw class values, where it is not the head's.
    scale : of the patches, after the mean, where the spec does not say it.
    training_only : hidden layers of auxiliary classifiers, which a donor's deploy net lacks.
    """

    name: str
    title: str
    input: tuple[int, int, int]
    layers: Callable[[NetSpec, bool], list[Layer]]
    heads: tuple[str, ...]
    batch_size: int
    scores: str | None = None
    scale: float = 1
    training_only: tuple[str, ...] = ()
    accuracy: str = "accuracy"
    loss: str = "loss"

    def train_val(self, spec: NetSpec) -> caffe_pb2.NetParameter:
        """The net that learns (TRAIN) and is measured on validation patches (TEST): outputs loss and accuracy.

        No crop and no mirror: the patches are stored at the net's size and already mirrored and turned.
        """
        spec = self._own(spec)
        scores, transform = self.output(spec), self.transform(spec)
        made = self.layers(spec, False)
        learn_as_new(made, spec.fresh)
        return caffe_pb2.NetParameter(
            name=f"{self.title} {spec.app} {spec.scheme}",
            layer=[
                data(spec.train_source, transform, spec.batch_size, TRAIN),
                data(spec.val_source, transform, spec.val_batch_size, TEST),
                *made,
                accuracy(self.accuracy, scores, "label"),
                softmax_with_loss(self.loss, scores, "label"),
            ],
        )

    def deploy(self, spec: NetSpec) -> caffe_pb2.NetParameter:
        """One patch (1, *input), B G R minus the mean, times `scale`, to `prob` (1, classes, or SqueezeNet's
        (1, classes, 1, 1)); the same for every scheme."""
        spec = self._in_use(spec)
        return caffe_pb2.NetParameter(
            name=f"{self.title} {spec.app}",
            layer=[
                input_blob("data", (1, *self.input)),
                *self.layers(spec, True),
                softmax("prob", self.output(spec)),
            ],
        )

    def score_net(self, spec: NetSpec, source: str, batch_size: int) -> caffe_pb2.NetParameter:
        """The net for `caffe test` over the LMDB `source`: its outputs are the main head's raw values (see `output`),
        higher = more likely, and, because no layer takes it, `label` (batch_size,)."""
        spec = self._in_use(spec)
        return caffe_pb2.NetParameter(
            name=f"{self.title} {spec.app} scores",
            layer=[data(source, self.transform(spec), batch_size, TEST), *self.layers(spec, True)],
        )

    def transform(self, spec: NetSpec) -> caffe_pb2.TransformationParameter:
        """How patches become the net's input: minus the mean, times the scale."""
        return transform_param(spec.mean_file, spec.mean_value, self.scale if spec.scale is None else spec.scale)

    def output(self, spec: NetSpec) -> str:
        """The blob of the main head's raw values."""
        return self.scores or self._own(spec).head

    def fresh(self, spec: NetSpec) -> set[str]:
        """The layers of `train_val` that no donor has: the classifiers, named after the application."""
        return {spec.renewed(name) for name in self.heads}

    def _own(self, spec: NetSpec) -> NetSpec:
        return spec if spec.arch == self.name else replace(spec, arch=self.name)

    def _in_use(self, spec: NetSpec) -> NetSpec:
        """Without a solver rates mean nothing, so every scheme gets the same ones."""
        return replace(spec, arch=self.name, scheme="scratch")


ARCHITECTURES = {
    arch.name: arch
    for arch in (
        Architecture("alexnet", "AlexNet", alexnet.INPUT, alexnet.layers, ("fc8",), BVLC_BATCH),
        Architecture("caffenet", "CaffeNet", caffenet.INPUT, caffenet.layers, ("fc8",), BVLC_BATCH),
        Architecture("vgg16", "VGG-16", vgg16.INPUT, vgg16.layers, ("fc8",), DEEP_BATCH),
        Architecture(
            "googlenet",
            "GoogLeNet",
            googlenet.INPUT,
            googlenet.layers,
            googlenet.HEADS,
            DEEP_BATCH,
            training_only=googlenet.TRAINING_ONLY,
            accuracy="loss3/top-1",
            loss="loss3/loss3",
        ),
        Architecture(
            "squeezenet",
            "SqueezeNet",
            squeezenet.INPUT,
            squeezenet.layers,
            ("conv10",),
            DEEP_BATCH,
            scores=squeezenet.SCORES,
        ),
        Architecture("resnet50", "ResNet-50", resnet50.INPUT, resnet50.layers, ("fc1000",), DEEP_BATCH),
        Architecture("lenet", "LeNet", lenet.INPUT, lenet.layers, ("ip2",), LENET_BATCH, scale=lenet.SCALE),
        Architecture(
            "googlenet_torch",
            "GoogLeNet of torchvision",
            googlenet_torch.INPUT,
            googlenet_torch.layers,
            googlenet_torch.HEADS,
            DEEP_BATCH,
        ),
        Architecture(
            "resnet50_torch",
            "ResNet-50 of torchvision",
            resnet50.TORCH_INPUT,
            resnet50.torch_layers,
            ("fc1000",),
            DEEP_BATCH,
        ),
    )
}
GOOGLENET, SQUEEZENET = ARCHITECTURES["googlenet"], ARCHITECTURES["squeezenet"]
VARIANTS = (  # which take their nets' donors (schemes.SAME_WEIGHTS)
    replace(
        GOOGLENET,
        name="googlenet_112",
        title="GoogLeNet, 112 pixels",
        input=googlenet.HALF_INPUT,
        layers=googlenet.half_layers,
    ),
    replace(SQUEEZENET, name="squeezenet_centre", title="SqueezeNet, centre", layers=squeezenet.centre_layers),
)
ARCHITECTURES |= {arch.name: arch for arch in VARIANTS}


def architecture(name: str) -> Architecture:
    """The architecture that ARCH= calls `name`; UserError for an unknown one."""
    return ARCHITECTURES[known(name, ARCHITECTURES, "architecture")]


def train_val(spec: NetSpec) -> caffe_pb2.NetParameter:
    """See Architecture.train_val; the architecture is the spec's."""
    return architecture(spec.arch).train_val(spec)


def deploy(spec: NetSpec) -> caffe_pb2.NetParameter:
    """See Architecture.deploy; the architecture is the spec's."""
    return architecture(spec.arch).deploy(spec)


def score_net(spec: NetSpec, source: str, batch_size: int) -> caffe_pb2.NetParameter:
    """See Architecture.score_net; the architecture is the spec's."""
    return architecture(spec.arch).score_net(spec, source, batch_size)
