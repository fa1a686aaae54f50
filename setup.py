"""Builds the protobuf module from pycaffe_ext/proto/caffe.proto; everything else stands in pyproject.toml."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

PROTO = Path(__file__).resolve().parent / "pycaffe_ext" / "proto"


class BuildProto(build_py):
    """Generate caffe_pb2.py, and its types in caffe_pb2.pyi, beside caffe.proto, then build as usual."""

    def run(self) -> None:
        from importlib import resources

        from grpc_tools import protoc

        include = resources.files("grpc_tools") / "_proto"
        words = ["protoc", f"-I{PROTO}", f"-I{include}", f"--python_out={PROTO}", f"--pyi_out={PROTO}", "caffe.proto"]
        if protoc.main(words):
            raise SystemExit("protoc could not compile pycaffe_ext/proto/caffe.proto")
        super().run()


setup(cmdclass={"build_py": BuildProto})
