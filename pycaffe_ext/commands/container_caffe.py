"""Write a wrapper for the caffe of a container image (docker, podman, apptainer), to be given as CAFFE=.

Inside, paths are the same; what it writes belongs to you; Ctrl-C reaches the caffe within.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pycaffe_ext import checkout
from pycaffe_ext.command_line.parsing import parse


def main(arguments: Sequence[str] | None = None) -> None:
    options = parse("container-caffe", arguments)
    from pycaffe_ext.files import writing
    from pycaffe_ext.genuine import root
    from pycaffe_ext.training import container

    visible = [folder for folder in (checkout.root() or Path.cwd(), root.cache_folder()) if folder.is_dir()]
    folders, out, on_gpu = [*visible, *map(Path, options["folder"])], Path(options["out"]), not options["cpu"]
    runtime = container.find_runtime(options["runtime"])
    with writing(out) as file:
        file.write(container.wrapper(options["image"], runtime, folders, on_gpu))
    out.chmod(0o755)
    path = out.resolve()
    print(
        f"{out} runs caffe by {runtime}; try: {path} --version; then: make ... CAFFE={path}{' GPU=0' if on_gpu else ''}"
    )
