"""Install the genuine BVLC Caffe 1.0 (CPU, Debian 11's package) into the user's cache folder, once."""

from pycaffe_ext.commands.caffe import main
from pycaffe_ext.errors import run_cli

if __name__ == "__main__":
    run_cli(main)
