"""Draw a net's graph into a picture."""

from __future__ import annotations

from collections.abc import Sequence

from pycaffe_ext.command_line.parsing import parse
from pycaffe_ext.errors import known

PHASES = ("TRAIN", "TEST", "ALL")


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse("draw_net", arguments)
    phase = known(options["phase"], PHASES, "phase")
    from pycaffe_ext.caffe import draw
    from pycaffe_ext.proto import caffe_pb2, read_net

    net, picture = read_net(options["input_net_proto_file"]), options["output_image_file"]
    print(f"Drawing net to {picture}")
    number = None if phase == "ALL" else caffe_pb2.Phase.Value(phase)
    draw.draw_net_to_file(net, picture, options["rankdir"], number, options["display_lrm"])
