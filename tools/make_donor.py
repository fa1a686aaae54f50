"""Repeat the training of the embedded donor: a narrow AlexNet on 64 classes of procedural images."""

from pycaffe_ext.commands.donor import main
from pycaffe_ext.errors import run_cli

if __name__ == "__main__":
    run_cli(main)
