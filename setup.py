"""Installs pycaffe_ext and builds the protobuf module from pycaffe_ext/proto/caffe.proto."""

from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).resolve().parent
PROTO = HERE / "pycaffe_ext" / "proto"
DOCS = ["mkdocs==1.6.1"]  # `make docs`; pinned: other versions warn of other links
EXPORT = ["onnx>=1.17", "onnxruntime>=1.20", "safetensors>=0.5"]  # onnxruntime: a run's ONNX file is checked
LEVELDB = ["plyvel>=1.5.1"]
# plyvel has wheels for Linux on x86-64 and up to Python 3.12; elsewhere it needs a compiler and LevelDB itself
LEVELDB_WHEELS = [f"{LEVELDB[0]}; python_version < '3.13' and sys_platform == 'linux' and platform_machine == 'x86_64'"]


class BuildProto(build_py):
    """Generate caffe_pb2.py beside caffe.proto, then build as usual."""

    def run(self) -> None:
        from importlib import resources

        from grpc_tools import protoc

        include = resources.files("grpc_tools") / "_proto"
        if protoc.main(["protoc", f"-I{PROTO}", f"-I{include}", f"--python_out={PROTO}", "caffe.proto"]):
            raise SystemExit("protoc could not compile pycaffe_ext/proto/caffe.proto")
        super().run()


setup(
    name="pycaffe_ext",
    version="0.1.0",
    description="Convolutional neural networks for medical image analysis: full training or fine tuning?"
    " A Caffe-faithful reproduction toolkit.",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="BSD-2-Clause",
    python_requires=">=3.11",
    packages=find_packages(include=["pycaffe_ext", "pycaffe_ext.*"]),
    package_data={"pycaffe_ext": ["proto/caffe.proto", "proto/caffe_pb2.py", "donors/*"]},
    cmdclass={"build_py": BuildProto},
    install_requires=[
        "torch==2.13.0",  # the version every conformance figure was measured with
        "numpy>=2.0",
        "protobuf>=7.35.1,<8",  # the runtime must not be older than the protoc in pyproject.toml
        "lmdb>=1.6",
        "h5py>=3.12",
        "opencv-python-headless>=4.10",
        "pillow>=10",  # image headers, palettes, WebP and other rare files
        "simplejpeg>=1.9",  # 0.4 MB, libjpeg-turbo: raises libjpeg's warnings of damage, which OpenCV and Pillow print
        "tifffile>=2025.1",  # TIFF as it is stored, also where its tags are wrong
        "imagecodecs>=2025.3",  # tifffile's LZW, JPEG, CCITT and predictors
        "scikit-learn>=1.5",
        "scipy>=1.14",
        "matplotlib>=3.9",
        "tqdm>=4.66",
    ],
    extras_require={
        # six: pycaffe's published tests, which `make caffe` fetches, import it
        "dev": [
            "pytest>=8",
            "pytest-xdist>=3.6",
            "ruff>=0.8",
            "six>=1.16",
            *DOCS,
            *EXPORT,
            *LEVELDB_WHEELS,
        ],
        "docs": DOCS,
        "export": EXPORT,
        "leveldb": LEVELDB,
    },
)
