"""Reproduces, and puts to use, "Full Training or Fine Tuning?" (Tajbakhsh et al., IEEE TMI 2016)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    __version__: str


def __getattr__(name: str) -> str:
    """`__version__`, which stands in pyproject.toml; looked up when it is asked for, as importlib.metadata is slow."""
    if name != "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _version()


def _version() -> str:
    """The checkout's version, else that of the installed package: a checkout may be newer than what was installed."""
    from pycaffe_ext import checkout

    root = checkout.root()
    if root is None:
        from importlib import metadata

        return metadata.version(__name__)
    import tomllib

    with open(root / "pyproject.toml", "rb") as file:
        version: str = tomllib.load(file)["project"]["version"]
    return version
