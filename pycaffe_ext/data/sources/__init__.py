"""Data sets as users have them on disk: one adapter each, and `find`, which recognises them and gives their frames.

An adapter only knows where frames and masks lie and which frames belong together; `data.frames` reads them. A user's
groups.csv wins over what an adapter knows. Frames without polyps are kept: they make false positives.
"""

from pycaffe_ext.data.sources.describe import NOTE, describe, summary
from pycaffe_ext.data.sources.listing import LeftOut, left_out, left_out_text
from pycaffe_ext.data.sources.recognise import find, recognise
from pycaffe_ext.data.sources.source import Source
from pycaffe_ext.data.sources.table import SOURCES

__all__ = [
    "NOTE",
    "SOURCES",
    "LeftOut",
    "Source",
    "describe",
    "find",
    "left_out",
    "left_out_text",
    "recognise",
    "summary",
]
