"""How deep, with how much data, how sure, on one data set."""

from pycaffe_ext.commands.own_study import main
from pycaffe_ext.errors import run_cli

if __name__ == "__main__":
    run_cli(main)
