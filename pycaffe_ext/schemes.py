"""Table II of the paper, once: which layers learn, at which rate, and from which filler they start.

Caffe's rate of a blob is base_lr * lr_mult. A learned layer's weight has lr_mult 1 and its bias 2; a frozen layer has
0 and 0; the new head of a fine-tuned net learns ten times faster than the rest. The paper does not state the weight
decay: weights decay and biases do not, as in BVLC AlexNet.

The paper's table is about AlexNet. The other architectures get the same pattern: their stages in order, where a stage
is what learns or rests as one (a layer of a plain net; a module of SqueezeNet, GoogLeNet and ResNet-50).

A scheme is a list of trainings, its links, each of which has the rates of one depth or of scratch. The paper's schemes
have one link. A chain has several: each starts from the chosen weights of the link before. `gradual` is gradual
unfreezing (Howard & Ruder 2018): the last stage, then one stage more in each link. `lp-ft` is linear probing, then
tuning of all stages (Kumar et al. 2022).
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

SAME_WEIGHTS = {"googlenet_112": "googlenet", "squeezenet_centre": "squeezenet"}  # variant -> whose donors it takes
STAGES["googlenet_torch"], STAGES["resnet50_torch"] = STAGES["googlenet"], STAGES["resnet50"]
STAGES |= {variant: STAGES[net] for variant, net in SAME_WEIGHTS.items()}

FINE_TUNING = {f"ft-{layer}": layer for layer in LAYERS}  # AlexNet's: scheme -> the shallowest layer that learns
SCRATCH = {"scratch": None, "scratch-xavier": "xavier", "scratch-msra": "msra"}  # scheme -> filler of all weights
SCHEMES = (*FINE_TUNING, *SCRATCH)  # AlexNet's, of one training each
GRADUAL, LP_FT = "gradual", "lp-ft"
CHAINS = (GRADUAL, LP_FT)  # of every architecture


def family(arch: str) -> str:
    """The net that `arch` is, or whose donors it takes as a variant."""
    return SAME_WEIGHTS.get(arch, arch)


def depths(arch: str) -> tuple[str, ...]:
    """The fine-tunings of an architecture, shallow to deep: ft-STAGE."""
    return tuple(f"ft-{stage}" for stage in reversed(STAGES[known(arch, STAGES, "architecture")]))


def unfreezing(arch: str) -> tuple[str, ...]:
    """Gradual unfreezing as far as each depth, shallow to deep: the last stage alone is its fine-tuning, gradual-STAGE
    ends with a stage between, and `gradual` with the first."""
    last, *between, _ = depths(arch)
    return (last, *(f"{GRADUAL}-{scheme.removeprefix('ft-')}" for scheme in between), GRADUAL)


def chains(arch: str) -> tuple[str, ...]:
    """Every chain of an architecture, shallow to deep."""
    return (*unfreezing(arch)[1:], LP_FT)


def links(scheme: str, arch: str = "alexnet") -> tuple[str, ...]:
    """The trainings of a scheme in their order, each a scheme of one link; UserError for an unknown scheme."""
    if check(scheme, arch) not in chains(arch):
        return (scheme,)
    each = depths(arch)
    return (each[0], each[-1]) if scheme == LP_FT else each[: unfreezing(arch).index(scheme) + 1]


def places(scheme: str, arch: str = "alexnet") -> tuple[str, ...]:
    """Where each link lies in a run's folder: "." of a single training, links/1-ft-fc8 and so on of a chain."""
    every = links(scheme, arch)
    return (".",) if len(every) == 1 else tuple(f"links/{i}-{link}" for i, link in enumerate(every, start=1))


def beginning(scheme: str, count: int, arch: str = "alexnet") -> str:
    """The scheme whose links are the first `count` (1 to all) of a scheme's."""
    every = links(scheme, arch)
    if count == len(every):
        return scheme
    return every[0] if count == 1 else unfreezing(arch)[count - 1]


def is_depth(scheme: str) -> bool:
    """Whether a scheme is one fine-tuning from the donor, and so a depth."""
    return scheme.startswith("ft-")


def frozen_stages(scheme: str, arch: str = "alexnet") -> int:
    """How many stages, from the input on, do not learn in a scheme's first training."""
    first = links(scheme, arch)[0]
    return 0 if first in SCRATCH else len(STAGES[arch]) - 1 - depths(arch).index(first)


def schemes(arch: str) -> tuple[str, ...]:
    """The schemes of an architecture: ft-STAGE from the deepest fine-tuning to the shallowest, chains, then scratch.
    There is gradual-STAGE besides (see `unfreezing`)."""
    return (*reversed(depths(arch)), *CHAINS, *SCRATCH)


def compared(arch: str) -> tuple[str, ...]:
    """The schemes that the paper compares (Table II's nine, for AlexNet): every depth, shallowest tuning first, then
    scratch as published; other fillers are for the figure of convergence only."""
    return (*depths(arch), "scratch")


def check(scheme: str, arch: str = "alexnet") -> str:
    """Return `scheme` if `arch` has it; else UserError with the schemes it has, or the ARCH= that has this one."""
    if scheme in (own := schemes(arch)) or scheme in chains(arch):
        return scheme
    if others := [other for other in STAGES if scheme in (*schemes(other), *chains(other))]:
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
    """Stage of STAGES -> ((lr_mult, decay_mult) of its weights, (lr_mult, decay_mult) of its biases); of one link."""
    stages = STAGES[known(arch, STAGES, "architecture")]
    if not is_fine_tuning(scheme, arch):
        return dict.fromkeys(stages, LEARNED)
    first = stages.index(scheme.removeprefix("ft-"))
    return {**{name: LEARNED if i >= first else FROZEN for i, name in enumerate(stages)}, stages[-1]: NEW_HEAD}
