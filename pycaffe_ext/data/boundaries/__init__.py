"""Images of arteries with the two boundaries of the far wall: lumen-intima (LI) and media-adventitia (MA).

`image.py` is the item, `curves.py` turns an expert's points into a depth for each column, `burned_in.py` finds text and
callipers on the image, `reading.py` reads pixels and spacing, a module for each data set reads its layout.

Coordinates are pixels: x counts columns to the right, y rows downwards (depth), 0 is the middle of the first pixel.
"""

from pycaffe_ext.data.boundaries.curves import BOUNDARIES, Curves
from pycaffe_ext.data.boundaries.image import WallImage
from pycaffe_ext.data.boundaries.recognise import SOURCES, find, recognise

__all__ = ["BOUNDARIES", "SOURCES", "Curves", "WallImage", "find", "recognise"]
