"""`python -m pycaffe_ext`: the embedded engine behind Caffe's command line."""

from pycaffe_ext.engine.cli import main
from pycaffe_ext.errors import run_cli

if __name__ == "__main__":
    run_cli(main)
