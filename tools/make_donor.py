"""Repeat the training of the embedded donor: a narrow AlexNet on procedural images and synthetic patches."""

from pycaffe_ext.commands.donor import main
from pycaffe_ext.errors import run_cli

if __name__ == "__main__":
    run_cli(main)
