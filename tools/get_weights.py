"""Download known weights (BVLC AlexNet by default): resumable, checked by sha1, in place only when right."""

from pycaffe_ext.commands.weights import main
from pycaffe_ext.errors import run_cli

if __name__ == "__main__":
    run_cli(main)
