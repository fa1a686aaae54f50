"""Write a wrapper for the caffe of a container image (docker, podman, apptainer), to be given as CAFFE=.

Inside, paths are the same; what it writes belongs to you; Ctrl-C reaches the caffe within.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from pycaffe_ext.errors import run_cli
from pycaffe_ext.files import writing
from pycaffe_ext.genuine import root
from pycaffe_ext.training import container

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("image", help="e.g. bvlc/caffe:gpu, bvlc/caffe:cpu, nvcr.io/nvidia/caffe:20.03-py3, caffe.sif")
    parser.add_argument("--runtime", default="", help=f"one of {', '.join(container.RUNTIMES)} (the first installed)")
    parser.add_argument("--folder", type=Path, action="append", default=[], help="to be seen inside too: data, runs")
    parser.add_argument("--cpu", action="store_true", help="without the machine's GPUs")
    parser.add_argument("--out", type=Path, default=Path("container-caffe"), help="the wrapper")
    args = parser.parse_args()
    own = [folder for folder in (ROOT, root.cache_folder()) if folder.is_dir()]
    runtime = container.find_runtime(args.runtime)
    with writing(args.out) as file:
        file.write(container.wrapper(args.image, runtime, [*own, *args.folder], not args.cpu))
    args.out.chmod(0o755)
    print(
        f"{args.out} runs caffe by {runtime}; try: {args.out.resolve()} --version; then: make ... CAFFE="
        f"{args.out.resolve()}{'' if args.cpu else ' GPU=0'}"
    )


if __name__ == "__main__":
    run_cli(main)
