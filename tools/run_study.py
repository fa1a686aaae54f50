"""All schemes of an application that are compared, with every seed; what is finished already is not repeated."""

from pycaffe_ext.commands.study import main
from pycaffe_ext.errors import run_cli

if __name__ == "__main__":
    run_cli(main)
