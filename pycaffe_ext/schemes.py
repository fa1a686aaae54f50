"""Table II of the paper, once: which layers learn, at which rate, and from which filler they start.

Caffe's rate of a blob is base_lr * lr_mult. A learned layer's weight has lr_mult 1 and its bias 2; a frozen layer has
0 and 0; the new head of a fine-tuned net learns ten times faster than the rest. The paper does not state the weight
decay: weights decay and biases do not, as in BVLC AlexNet.
"""

from __future__ import annotations

from pycaffe_ext.errors import known

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

FINE_TUNING = {f"ft-{layer}": layer for layer in LAYERS}  # scheme -> the shallowest layer that learns
SCRATCH = {"scratch": "gaussian", "scratch-xavier": "xavier", "scratch-msra": "msra"}  # scheme -> weight filler
SCHEMES = (*FINE_TUNING, *SCRATCH)


def is_fine_tuning(scheme: str) -> bool:
    """True if `scheme` starts from a donor's weights; UserError for an unknown scheme."""
    return known(scheme, SCHEMES, "scheme") in FINE_TUNING


def filler(scheme: str) -> str:
    """Caffe's type of the weight filler: "gaussian", "xavier" or "msra"; when fine-tuning, only the head uses it."""
    return SCRATCH["scratch"] if is_fine_tuning(scheme) else SCRATCH[scheme]


def param_specs(scheme: str) -> dict[str, Spec]:
    """Layer of LAYERS -> ((lr_mult, decay_mult) of its weight, (lr_mult, decay_mult) of its bias)."""
    if not is_fine_tuning(scheme):
        return dict.fromkeys(LAYERS, LEARNED)
    first = LAYERS.index(FINE_TUNING[scheme])
    return {**{name: LEARNED if i >= first else FROZEN for i, name in enumerate(LAYERS)}, HEAD: NEW_HEAD}
