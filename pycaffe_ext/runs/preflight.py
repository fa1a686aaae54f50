"""What can be known about runs before a frame is read, a detector trained or a byte written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pycaffe_ext.applications.base import Application
from pycaffe_ext.files import check_writable
from pycaffe_ext.runs.external_data import Outside
from pycaffe_ext.runs.settings import DataRequest
from pycaffe_ext.training.command import Caffe
from pycaffe_ext.training.session import locked


def look(
    request: DataRequest,
    folder: Path,
    application: Application[Any, Any],
    caffe: Caffe,
    outside: Outside | None = None,
) -> str:
    """Check a run's folder, its data, the caffe and its GPU, the cheapest first; returns the caffe's version.

    outside : the other data set that the run is to be tested on.

    Raises UserError.
    """
    check_writable(folder)
    if folder.is_dir():
        with locked(folder):
            pass  # no process trains there
    application.check(request)
    if outside:
        outside.check(request)
    version = caffe.version()
    caffe.check_gpu()
    return version
