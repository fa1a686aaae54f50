"""One run, from frames to the FROC curve: prepare the data, train, stop early, test and draw."""

from pycaffe_ext.commands.run import main
from pycaffe_ext.errors import run_cli

if __name__ == "__main__":
    run_cli(main)
