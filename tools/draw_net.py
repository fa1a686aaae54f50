"""Draw a net's graph into a picture."""

from __future__ import annotations

import argparse

from pycaffe_ext.errors import run_cli

PHASES = ("TRAIN", "TEST", "ALL")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("input_net_proto_file", help="the net's prototxt")
    parser.add_argument("output_image_file", help="the picture; its ending (.svg, .png, ...) says what kind")
    parser.add_argument("--rankdir", default="LR", help="direction: LR, TB, BT (default: %(default)s)")
    parser.add_argument("--phase", default="ALL", choices=PHASES, help="draw this phase only (default: %(default)s)")
    parser.add_argument("--display_lrm", action="store_true", help="show the learning rates' multipliers")
    args = parser.parse_args()
    from pycaffe_ext.caffe import draw
    from pycaffe_ext.proto import caffe_pb2, read_net

    phase = None if args.phase == "ALL" else caffe_pb2.Phase.Value(args.phase)
    net = read_net(args.input_net_proto_file)
    print(f"Drawing net to {args.output_image_file}")
    draw.draw_net_to_file(net, args.output_image_file, args.rankdir, phase, args.display_lrm)


if __name__ == "__main__":
    run_cli(main)
