"""Write a trained net as ONNX or safetensors, as the output's name ends."""

from pycaffe_ext.commands.export import main
from pycaffe_ext.errors import run_cli

if __name__ == "__main__":
    run_cli(main)
