from pathlib import Path

import pytest

from pycaffe_ext.errors import UserError
from pycaffe_ext.nets import emission
from pycaffe_ext.report import tables

ROOT = Path(__file__).resolve().parents[2]


def rows(text):
    return {line.split()[0]: " ".join(line.split()) for line in text.splitlines() if line.strip()}


def test_tables_show_the_papers_numbers():
    shown = rows(tables.tables(ROOT, "imt"))
    assert shown["conv2"] == "conv2 convolution 96x27x27 5x5 1 2 256x27x27 256x48x5x5"
    assert shown["pool5"] == "pool5 max pooling 256x13x13 3x3 2 0 256x6x6"
    assert shown["fc8_imt"].endswith(" 3 3x4096")
    assert shown["ft-conv4"] == "ft-conv4 0.9 0 0 0 0.001 0.001 0.001 0.001 0.01 0.95 x2 gaussian"
    assert shown["scratch-msra"] == "scratch-msra 0.9" + 8 * " 0.001" + " 0.95 x2 msra"


def test_tables_are_read_from_the_files(tmp_path):
    emission.write(tmp_path)
    path = tmp_path / emission.solver_path("polyp", "ft-fc8")
    path.write_text(path.read_text().replace("base_lr: 0.001", "base_lr: 0.002"))
    assert rows(tables.tables(tmp_path, "polyp"))["ft-fc8"] == "ft-fc8 0.9 0 0 0 0 0 0 0 0.02 0.95 x2 gaussian"
    path.unlink()
    with pytest.raises(UserError, match="ft-fc8.prototxt"):
        tables.tables(tmp_path, "polyp")
