"""Errors reported in one line that are also the exceptions the genuine pycaffe raises in the same place."""

from __future__ import annotations

from pycaffe_ext.errors import UserError


class RunError(UserError, RuntimeError):
    """Where genuine pycaffe raises RuntimeError: a file that cannot be opened, an array that does not fit."""


class BadValue(UserError, ValueError):
    """Where genuine pycaffe raises ValueError: an unknown layer, a shape that means nothing."""


class NotAligned(UserError, AssertionError):
    """Where genuine pycaffe asserts: coordinates that cannot be aligned by cropping."""


class NoSuchName(UserError, KeyError):
    """Where genuine pycaffe raises KeyError: an unknown blob."""

    __str__ = UserError.__str__  # KeyError would show its message in quotes
