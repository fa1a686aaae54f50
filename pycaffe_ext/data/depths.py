"""One white for all pictures of a data set that are stored with 16 bits a channel.

No such file says what its white is, so `pictures.shown` goes by the highest value of each: up to 4095 it is taken for
12 bits, above for all 16. One pixel decides, and makes a picture 16 times darker. So all of a set have to be of one
kind, and those that a run is applied to of the kind of its own: otherwise nets would tell the kinds apart instead of
what the pictures show, and no figure would say so. A black picture is of either kind; pictures stored otherwise have
the white of their format.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from pycaffe_ext.data.frames import map_frames
from pycaffe_ext.data.items import Item
from pycaffe_ext.errors import UserError
from pycaffe_ext.pictures.shown import TWELVE_BITS, bits_of
from pycaffe_ext.pictures.stored import DEEP

FAR = 4  # times below white: where the highest value of a set lies there, somebody should know


@dataclass(frozen=True)
class Depth:
    """bits : 12 or 16, how many are used by the set's pictures that are stored with 16 bits; 8 where there are none.
    pictures : how many of them there are, without black ones.   highest : their highest value.   item : that has it.
    """

    bits: int
    pictures: int = 0
    highest: int = 0
    item: str = ""

    @property
    def white(self) -> int:
        """The value that is shown as 255; of pictures stored with 16 bits."""
        return TWELVE_BITS if self.bits == 12 else DEEP

    def record(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def read(cls, record: Mapping[str, Any]) -> Depth | None:
        """What `record` gave; None of an empty one, where nothing is known."""
        return cls(**record) if record else None


PLAIN = Depth(8)


def of(items: Sequence[Item], data: str, progress: bool = True) -> Depth:
    """Look at the headers of all items' pictures, and decode those that are stored with 16 bits.

    data : the setting that names the set, for messages, as in "DATA=my/images".
    Raises UserError that names a picture of each kind where there are both.
    """
    found = map_frames(lambda item: item.highest(), items, "looking at depths", progress)
    deep = sorted((highest, item.name) for highest, item in zip(found, items, strict=True) if highest)
    if not deep:
        return PLAIN
    if (twelve := sum(bits_of(highest) == 12 for highest, _ in deep)) not in (0, len(deep)):
        (low, dark), (high, light) = deep[twelve - 1 : twelve + 1]
        raise UserError(
            f"{data}: its pictures with 16 bits are of two kinds: {twelve} of {len(deep)} with no value above"
            f" {TWELVE_BITS} (as {dark}, highest value {low}), which would be shown as 12 bits, and"
            f" {len(deep) - twelve} with one (as {light}, {high}), which would be shown 16 times darker; save all with"
            f" 8 bits, or scale all to the full 16 bits (those of 12 bits: each value times 16, at most {DEEP})"
        )
    highest, item = deep[-1]
    return Depth(bits_of(highest), len(deep), highest, item)


def check_same(trained: Depth | None, found: Depth, data: str) -> None:
    """Raise UserError where pictures with 16 bits would be shown by another white than those of the run.

    trained : of the run's own data, None where that is not known.   found : of what it is applied to.
    data : as in `of`.
    """
    if trained is not None and {trained.bits, found.bits} == {12, 16}:
        raise UserError(
            f"{data}: its pictures with 16 bits would be shown as {found.bits} bits ({found.item} has the highest value"
            f" {found.highest}), those that the nets were trained on as {trained.bits} ({trained.item}:"
            f" {trained.highest}); scale them as those are, or save both with 8 bits and train again"
        )


def warnings(depth: Depth, data: str) -> list[str]:
    """A line where a set's pictures with 16 bits all stay far below white; data : as in `of`."""
    if depth.bits == 8 or FAR * depth.highest > depth.white:
        return []
    return [
        f"{data}: the highest value of its pictures with 16 bits is {depth.highest} ({depth.item}),"
        f" white is {depth.white}: nets see 1/{FAR} of the range or less; scale all to the full 16 bits (each value"
        f" times {DEEP // depth.highest}), or save them with 8 bits"
    ]
