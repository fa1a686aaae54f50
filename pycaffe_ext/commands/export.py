"""Write a finished run, or any trained net, for other libraries: ONNX, safetensors, PyTorch.

Usage: export [FLAGS] RUN [OUT]
       export [FLAGS] DEPLOY_PROTOTXT WEIGHTS OUTPUT.onnx|OUTPUT.safetensors|OUTPUT.pt2

RUN is a run's folder, such as runs/polyp-ft-conv3; OUT, by default RUN/export, gets model.onnx, model.safetensors,
model.pt2 (torch.export) and model.json, which says what goes in and out.  They take patches as they are stored: the
run's mean and scale are inside.  They are written only if each gives the run's own class probabilities within 1e-4.

Of another net, how images are prepared (B G R, mean, scale) goes into the file's metadata, and the caller does it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pycaffe_ext.errors import UserError, known
from pycaffe_ext.files import user_path
from pycaffe_ext.programs.flags import Flag, parse

PREPARATION = {
    "mean_file": Flag("", "of a net: the mean image that is subtracted, a binaryproto"),
    "mean_value": Flag("", "or the mean of each channel, in the net's order: 104,117,123"),
    "scale": Flag("", "what the values are multiplied by after that"),
}
CHECK = {
    "patches": Flag(100, "of a run: how many validation patches are compared"),
    "caffe": Flag("", "the caffe command that scores them, unless it is the run's own"),
    "gpu": Flag("", "and its GPU"),
}


def main(arguments: Sequence[str] | None = None) -> None:
    given = parse(__doc__ or "", {**PREPARATION, **CHECK}, [1, 2, 3], arguments)
    if not given:
        return
    flags, paths = given
    strange = CHECK if len(paths) == 3 else PREPARATION
    if wrong := [name for name, flag in strange.items() if flags.pop(name) != flag.default]:
        kind = "a net's files" if len(paths) == 3 else "a run, which has its own"
        raise UserError(f"-{wrong[0]} is not for {kind}; leave it out")
    (export_net if len(paths) == 3 else export_run)(paths, flags)


def export_run(paths: list[str], flags: dict[str, Any]) -> None:
    from pycaffe_ext.runs.exporting import export

    folder, *out = map(user_path, paths)
    print(
        export(folder, out[0] if out else None, flags["patches"], flags["caffe"] or None, flags["gpu"] or None).text()
    )


def export_net(paths: list[str], flags: dict[str, Any]) -> None:
    prototxt, weights, output = paths
    kind = known(Path(output).suffix, (".onnx", ".safetensors", ".pt2"), "ending of the output")
    from pycaffe_ext.export import onnx, require, safetensors, source
    from pycaffe_ext.proto.lines import naming_lines

    require("safetensors" if kind == ".safetensors" else "onnx")
    with naming_lines(prototxt):
        net, preparation = source.read(prototxt, weights), source.preparation(**flags)
        if kind == ".pt2":
            from pycaffe_ext.export import pytorch  # late: it imports torch and onnx

            pytorch.write(net, output, preparation)
        else:
            {".onnx": onnx.write, ".safetensors": safetensors.write}[kind](net, output, preparation)
