"""Write a finished run, or any trained net, for other libraries: ONNX, safetensors, PyTorch."""

from pycaffe_ext.commands.export import main
from pycaffe_ext.errors import run_cli

if __name__ == "__main__":
    run_cli(main)
