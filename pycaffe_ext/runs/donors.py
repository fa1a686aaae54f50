"""The weights that a run starts from: found, proved to fit the net, and what is known of them."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from pycaffe_ext import nets
from pycaffe_ext.donor import DONOR, weights
from pycaffe_ext.donor.cards import Card, card_path
from pycaffe_ext.errors import UserError
from pycaffe_ext.nets.shapes import parameter_shapes
from pycaffe_ext.nets.spec import SCALABLE
from pycaffe_ext.runs.settings import Settings
from pycaffe_ext.schemes import family, is_fine_tuning, links

WEIGHTS = Path("weights")  # where downloaded and converted donors lie


@dataclass(frozen=True)
class Donor:
    """The weights a fine-tuning starts from: the user's, or the embedded donor's; no file where none are needed.

    card : what they were trained on, None where no card says it.   whose : the card, in words.
    """

    file: Path | None
    blobs: weights.Blobs
    width: Fraction
    embedded: bool
    card: Card | None = None
    whose: str = ""


@dataclass(frozen=True)
class Transfer:
    """The layers with weights of a net that learns: those that start from their fillers, and those of the donor."""

    fresh: tuple[str, ...]
    transferred: tuple[str, ...]

    def text(self, file: Path | None) -> str:
        """Both lists in one line."""
        start = "starts from its filler" if len(self.fresh) == 1 else "start from their fillers"
        theirs = f"{len(self.transferred)} layers are the donor's ({file}): {weights.listed(self.transferred)}"
        return f"transfer proved: {weights.listed(self.fresh)} {start}, {theirs}"


def find_donor(settings: Settings) -> Donor:
    """The donor that WEIGHTS= names, or the embedded one, an AlexNet; AlexNet from scratch takes its width, too, to be
    comparable.  UserError where another net is to be fine-tuned and WEIGHTS= is not given."""
    given, alexnet = settings.training.weights, settings.training.arch == SCALABLE
    if given or alexnet:
        file = weights.resolve(given, WEIGHTS) if given else DONOR
        blobs = weights.own_blobs(file)
        width = weights.donor_width(blobs) if alexnet else Fraction(1)
        card, whose = weights.card_of(given or DONOR, WEIGHTS) or (None, "")
        return Donor(file, blobs, width, not given, card, whose if given else card_path(DONOR).name)
    if is_fine_tuning(settings.scheme, settings.training.arch):
        net = family(settings.training.arch)
        choices = " or ".join([f"a .caffemodel of {net}", *weights.published(net)])
        raise UserError(
            f"{settings.scheme} of {settings.training.arch} needs a donor, and the embedded one is an AlexNet: give"
            f" WEIGHTS= {choices}, or train from scratch ({settings.app}-scratch)"
        )
    return Donor(None, {}, Fraction(1), embedded=False)


def net_of(settings: Settings, donor: Donor, classes: int) -> nets.NetSpec:
    """The net before its data are known; of a chain, that of its last link."""
    training = settings.training
    return nets.NetSpec(
        app=settings.app,
        scheme=links(settings.scheme, training.arch)[-1],
        arch=training.arch,
        classes=classes,
        width=nets.parse_width(training.width) if training.width else donor.width,
    )


def prove_transfer(settings: Settings, donor: Donor, classes: int) -> Transfer:
    """Check that every layer of a fine-tuning starts from the donor but the new classifiers, what FRESH= names, and
    what a donor made for use lacks; UserError otherwise."""
    arch, spec = nets.architecture(settings.training.arch), net_of(settings, donor, classes)
    shapes = parameter_shapes(arch.train_val(spec), image=arch.input)
    patterns = (settings.training.fresh or "").split()
    fresh = weights.fresh_layers(donor.blobs, shapes, arch.fresh(spec), arch.training_only, patterns)
    weights.check_transfer(donor.blobs, shapes, fresh)
    return Transfer(tuple(sorted(fresh)), tuple(name for name in shapes if name not in fresh))
