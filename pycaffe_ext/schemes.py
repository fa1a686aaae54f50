"""Table II of the paper, once: which layers learn, at which rate, and from which filler they start.

Caffe's rate of a blob is base_lr * lr_mult. A learned layer's weight has lr_mult 1 and its bias 2; a frozen layer has
0 and 0; the new head of a fine-tuned net learns ten times faster than the rest. The paper does not state the weight
decay: weights decay and biases do not, as in BVLC AlexNet.

The paper's table is about AlexNet. The other architectures get the same pattern: their stages in order, where a stage
is what learns or rests as one (a layer of a plain net; a module of SqueezeNet, GoogLeNet and ResNet-50).
"""

from __future__ import annotations

from pycaffe_ext.errors import UserError, known

Spec = tuple[tuple[int, int], tuple[int, int]]

LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8")
HEAD = "fc8"  # its name in Table II; in a net it is fc8_<application>

BASE_LR = 0.001
LR_POLICY = "step"
GAMMA = 0.95  # applied once an epoch
MOMENTUM = 0.9
WEIGHT_DECAY = 0.0005  # BVLC AlexNet's

FROZEN: Spec = ((0, 0), (0, 0))
LEARNED: Spec = ((1, 1), (2, 0))
NEW_HEAD: Spec = ((10, 1), (20, 0))

STAGES = {  # architecture -> its parametrised stages from the input on; the last is the head, new for each application
    "alexnet": LAYERS,
    "caffenet": LAYERS,
    "vgg16": (
        *(f"conv{block}_{i}" for block, count in enumerate((2, 2, 3, 3, 3), 1) for i in range(1, count + 1)),
        *("fc6", "fc7", "fc8"),
    ),
    "googlenet": (
        "conv1",
        "conv2",
        *(f"inception_{name}" for name in ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b")),
        "classifier",
    ),
    "squeezenet": ("conv1", *(f"fire{i}" for i in range(2, 10)), "conv10"),
    "resnet50": (
        "conv1",
        *(
            f"res{block}{letter}"
            for block, letters in enumerate(("abc", "abcd", "abcdef", "abc"), 2)
            for letter in letters
        ),
        "fc1000",
    ),
    "lenet": ("conv1", "conv2", "ip1", "ip2"),
}

STAGES["googlenet_torch"], STAGES["resnet50_torch"] = STAGES["googlenet"], STAGES["resnet50"]

FINE_TUNING = {f"ft-{layer}": layer for layer in LAYERS}  # AlexNet's: scheme -> the shallowest layer that learns
SCRATCH = {"scratch": None, "scratch-xavier": "xavier", "scratch-msra": "msra"}  # scheme -> filler of all weights
SCHEMES = (*FINE_TUNING, *SCRATCH)  # AlexNet's


def schemes(arch: str) -> tuple[str, ...]:
    """Every scheme of an architecture: ft-STAGE from the deepest fine-tuning to the shallowest, then scratch."""
    return (*(f"ft-{stage}" for stage in STAGES[known(arch, STAGES, "architecture")]), *SCRATCH)


def compared(arch: str) -> tuple[str, ...]:
    """The schemes that the paper compares (Table II's nine, for AlexNet): every depth, shallowest tuning first, then
    scratch as published; other fillers are for the figure of convergence only."""
    return (*(f"ft-{stage}" for stage in reversed(STAGES[known(arch, STAGES, "architecture")])), "scratch")


def check(scheme: str, arch: str = "alexnet") -> str:
    """Return `scheme` if `arch` has it; else UserError with the schemes it has, or the ARCH= that has this one."""
    if scheme in (own := schemes(arch)):
        return scheme
    if others := [other for other in STAGES if scheme in schemes(other)]:
        raise UserError(f"{arch} has no scheme {scheme}, ARCH={' or '.join(others)} has; {arch}'s: {', '.join(own)}")
    return known(scheme, own, "scheme" if arch == "alexnet" else f"{arch} scheme")


def is_fine_tuning(scheme: str, arch: str = "alexnet") -> bool:
    """True if `scheme` starts from a donor's weights; UserError for an unknown scheme."""
    return check(scheme, arch) not in SCRATCH


def filler(scheme: str, arch: str = "alexnet") -> str | None:
    """Caffe's type of filler for every weight, "xavier" or "msra"; None = those that the net was published with.

    When fine-tuning, only the head uses its filler.
    """
    return SCRATCH.get(check(scheme, arch))


def param_specs(scheme: str, arch: str = "alexnet") -> dict[str, Spec]:
    """Stage of STAGES -> ((lr_mult, decay_mult) of its weights, (lr_mult, decay_mult) of its biases)."""
    stages = STAGES[known(arch, STAGES, "architecture")]
    if not is_fine_tuning(scheme, arch):
        return dict.fromkeys(stages, LEARNED)
    first = stages.index(scheme.removeprefix("ft-"))
    return {**{name: LEARNED if i >= first else FROZEN for i, name in enumerate(stages)}, stages[-1]: NEW_HEAD}
