"""What can be known about runs before a frame is read, a detector trained or a byte written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pycaffe_ext.files import check_writable
from pycaffe_ext.runs.settings import Settings
from pycaffe_ext.training.command import Caffe
from pycaffe_ext.training.session import locked


def look(settings: Settings, folder: Path, check_data: Callable[[Settings], None], caffe: Caffe) -> str:
    """Check a run's folder, its data, the caffe and its GPU, the cheapest first; returns the caffe's version.

    check_data : the application's own.   Raises UserError.
    """
    check_writable(folder)
    if folder.is_dir():
        with locked(folder):
            pass  # nobody trains there
    check_data(settings)
    version = caffe.version()
    caffe.check_gpu()
    return version
