"""Write a trained net as ONNX or safetensors, as the output's name ends.

Usage: export [FLAGS] DEPLOY_PROTOTXT WEIGHTS OUTPUT.onnx|OUTPUT.safetensors

How images are prepared (B G R, mean, scale) goes into the file's metadata.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pycaffe_ext.errors import known
from pycaffe_ext.programs.flags import Flag, parse

FLAGS = {
    "mean_file": Flag("", "the mean image that is subtracted, a binaryproto"),
    "mean_value": Flag("", "or the mean of each channel, in the net's order: 104,117,123"),
    "scale": Flag("", "what the values are multiplied by after that"),
}


def main(arguments: Sequence[str] | None = None) -> None:
    given = parse(__doc__ or "", FLAGS, [3], arguments)
    if not given:
        return
    flags, (prototxt, weights, output) = given
    kind = known(Path(output).suffix, (".onnx", ".safetensors"), "ending of the output")
    from pycaffe_ext.export import onnx, safetensors, source
    from pycaffe_ext.proto.lines import naming_lines

    write = {".onnx": onnx.write, ".safetensors": safetensors.write}[kind]
    with naming_lines(prototxt):
        write(source.read(prototxt, weights), output, source.preparation(**flags))
