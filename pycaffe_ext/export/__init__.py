"""Trained nets in the formats of other libraries: ONNX, safetensors, torch.export.  The engine is not needed."""

from __future__ import annotations

from importlib.util import find_spec

from pycaffe_ext.errors import UserError


def require(*packages: str) -> None:
    """Raise UserError for a package that is not installed; none is imported."""
    for package in packages:
        if find_spec(package) is None:
            raise UserError(f"this needs the package {package}: pip install 'pycaffe_ext[export]'")
