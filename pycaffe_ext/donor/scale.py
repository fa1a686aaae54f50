"""Whether a donor is in the scale of its input: three measures, and the limit from which each is a finding.

A net expects its input in one scale, say B G R 0..255 less a mean. If its file has a standard deviation folded into
conv1, it still predicts, but one rate moves conv1 by the square of that factor too far; if it gets an input in another
scale, it does not even predict. The measures:

1. the first layer's norm of an output's weights over the others' median: below 1/13 or above 13 is a finding;
2. the spread of the donor's own classifier over its classes, from 16 on, and how much of it is not there for an input
   of zeros, below 0.45: too large an input makes a net absurdly sure, too small a one leaves its biases alone;
3. how far the first epoch moved a layer, in its norm: above 0.1 where it is 8 times the others' median, or above 1. A
   few per cent are no sign: a donor in its scale, tuned whole, moved by 0.14.

What they gave on real files and new nets; `tests/donor/test_scale.py` repeats the first:

| donor | 1 | 2 | 2, input times 57.6 | 2, input over 57.6 |
|---|---|---|---|---|
| SqueezeNet v1.1, trained in Caffe | 1.28 | 2.8 to 4.4, 1.1 to 1.3 | 99, 1.0 | 2.7 to 3.1, 0.12 to 0.50 |
| BVLC GoogLeNet | 2.29 | 2.1 to 2.3, 1.0 | 2.1, 1.0 (LRN hides it) | 1.6 to 2.0, 0.24 to 0.77 |
| the embedded AlexNet | 1.04 | 3.9 to 9.5, 0.8 to 1.1 | 54 to 151, 1.0 | 3.1 to 3.2, 0.04 to 0.06 |
| torchvision's SqueezeNet 1.1, std folded into conv1 | 0.024 | 2.5 to 3.4, 0.9 to 1.0 | 33, 1.0 | 1.4, 0.09 to 0.35 |
| any net of ARCH= from xavier or msra | 0.98 to 1.01 | - | - | - |
| AlexNet and CaffeNet from their gaussian fillers | 0.46 | - | - | - |
| torchvision's untrained VGG-16, ResNet-50, SqueezeNet | 0.22, 0.30, 1.0 | - | - | - |

The outputs are those of 8 patches each of polyps, of chest radiographs and of coloured squares. A net that was never
trained has biases of one constant, and no scale: 2 is not asked of it.

| 3, all layers tuned | conv1 | median of the others | farthest |
|---|---|---|---|
| SqueezeNet v1.1, rate 0.0001, after 16 batches of 8 | 0.0006 | 0.0006 | 0.001 |
| the same, rate 0.001 | 0.015 | 0.017 | 0.05 (fire8/squeeze1x1) |
| BVLC GoogLeNet, rate 0.001, after 12 batches of 8 | 0.012 | 0.010 | 0.03 (inception_5a/5x5) |
| std folded into conv1, rate 0.0001 | 0.44 | 0.0008 | conv1 |
| the same donor, rate 0.001 | 6.8 | 0.046 | conv1 |
| the embedded AlexNet, rate 0.001, after 75 batches of 64 | 0.018 | 0.014 | 0.022 (conv5) |
| an AlexNet that SGD had trained on unscaled input, the same after 150 of 32 | 0.11 | 0.12 | 0.14 (conv4) |
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from pycaffe_ext.donor.weights import Blobs

FIRST = 13.0  # times the first layer's weights may be smaller or larger than the others'
SPREAD = 16.0  # of a trained classifier's raw values over its classes
SHARE = 0.45  # of that spread that the images must make
MOVED = 0.1  # of a layer's norm in its first epoch, where it is TIMES as far as the others
TIMES = 8.0
WHOLE = 1.0  # of its norm, whatever the others do
REMEDY = "give one in its scale, with a card or SCALE= (docs/how-to/donors.md, A donor in the wrong scale)"


def gain(weight: np.ndarray) -> float:
    """The norm of the weights of one output, as the root of its mean square over the outputs (the first axis)."""
    return float(np.linalg.norm(weight) / np.sqrt(weight.shape[0]))


def first_ratio(donor: Blobs, layers: Iterable[str]) -> tuple[str, float] | None:
    """(the first layer, its gain over the median of the others'), NaN and all; None where there are less than two.

    layers : names of the hidden layers from the input on; those without weights of two or more axes do not count.
    """
    gains = {name: gain(donor[name][0]) for name in layers if _has_weights(donor, name)}
    if len(gains) < 2:
        return None
    first, *others = gains
    middle = float(np.median([gains[name] for name in others]))
    return (first, gains[first] / middle) if middle > 0 else None


def first_layer(donor: Blobs, layers: Iterable[str]) -> str | None:
    """What a person must know if the first layer's weights are far smaller or larger than the others'; else None."""
    found = first_ratio(donor, layers)
    if found is None or 1 / FIRST <= found[1] <= FIRST:
        return None
    name, ratio = found
    if ratio == 0:
        return f"all weights of {name} are 0; {REMEDY}"
    size, times = ("smaller", 1 / ratio) if ratio < 1 else ("larger", ratio)
    speed = f"a rate moves {name} about {times**2:.2g} times as far" if ratio < 1 else f"a rate hardly moves {name}"
    return f"the weights of {name} are {times:.3g} times {size} than those of the next layers, so {speed}; {REMEDY}"


def is_trained(donor: Blobs, layers: Iterable[str]) -> bool:
    """Whether some hidden layer's bias (a batch norm's mean) is not one constant, as fillers leave it.

    Without biases a net of ReLUs has no scale: whatever its input is multiplied by, its outputs are.
    """
    last = (donor[name][1] for name in layers if len(donor.get(name, ())) > 1)
    return any(blob.size > 1 and np.ptp(blob) > 0 for blob in last)


def spread(raw: np.ndarray, blank: np.ndarray) -> tuple[float, float]:
    """(standard deviation over the classes, the share of it that an input of zeros does not give), means over images.

    raw : (images, classes), before any softmax        blank : (classes,), for an input of zeros
    """
    whole, own = float(raw.std(axis=1).mean()), float((raw - blank).std(axis=1).mean())
    return whole, own / whole if whole > 0 else 0.0


def outputs(raw: np.ndarray, blank: np.ndarray) -> str | None:
    """What a person must know if a donor's own classifier gives a run's patches absurd values; else None.

    raw, blank : see `spread`.
    """
    if not (np.isfinite(raw).all() and np.isfinite(blank).all()):
        return f"the donor's own classifier gives the first patches values that are not finite; {REMEDY}"
    whole, share = spread(raw, blank)
    if whole > SPREAD:
        return (
            f"the donor's own classifier gives the first patches values that spread by {whole:.3g} (2 to 6 are"
            f" natural), so its input is many times too large; {REMEDY}"
        )
    if share < SHARE:
        return (
            f"the donor's own classifier gives the first patches nearly the values that it gives zeros ({share:.2g} of"
            f" their spread is their own, 0.9 or more is natural), so its input is many times too small; {REMEDY}"
        )
    return None


def moves(donor: Blobs, trained: Blobs) -> dict[str, float]:
    """Layer -> how far its weights are from the donor's, in the donor's norm; of the layers that have moved.

    Layers are those that both have, with as many weights; blobs of one axis (biases, batch norm) do not count.
    """
    found = {}
    for name in trained:
        if _has_weights(donor, name) and trained[name] and trained[name][0].size == donor[name][0].size:
            before, after = donor[name][0].ravel(), trained[name][0].ravel()
            norm = float(np.linalg.norm(before))
            if (far := float(np.linalg.norm(after - before))) != 0:
                found[name] = far / norm if norm else float("inf")
    return found


def moved(donor: Blobs, trained: Blobs) -> str | None:
    """What a person must know if the first epoch has moved a layer too far; else None.

    Too far is more than WHOLE of its norm, or more than MOVED of it and TIMES as far as the others (their median).
    """
    found = moves(donor, trained)
    far = {name: ratio for name, ratio in found.items() if not ratio <= _limit(found, name)}  # NaN is far, too
    if not far:
        return None
    name = max(far, key=lambda layer: (np.isnan(far[layer]), far[layer]))
    others = _median_of_others(found, name)
    beside = "" if others is None else f" (the other layers: {100 * others:.2g} %)"
    return (
        f"the first epoch moved the weights of {name} by {100 * far[name]:.3g} % of their norm{beside}: the layer is"
        f" not in the scale of its input, or the rate is too high; {REMEDY}, or lower BASE_LR="
    )


def _limit(found: Mapping[str, float], name: str) -> float:
    """How far a layer may move."""
    others = _median_of_others(found, name)
    return WHOLE if others is None else min(WHOLE, max(MOVED, TIMES * others))


def _median_of_others(found: Mapping[str, float], name: str) -> float | None:
    others = [ratio for layer, ratio in found.items() if layer != name]
    return float(np.median(others)) if others else None


def _has_weights(donor: Blobs, name: str) -> bool:
    return bool(donor.get(name)) and donor[name][0].ndim > 1 and donor[name][0].size > donor[name][0].shape[0]
