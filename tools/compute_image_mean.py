"""Compute the mean image of a database of Datums."""

from pycaffe_ext.commands.compute_image_mean import main
from pycaffe_ext.errors import run_cli

if __name__ == "__main__":
    run_cli(main)
