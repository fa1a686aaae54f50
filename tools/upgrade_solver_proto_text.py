"""Bring a solver's prototxt of any age to today's form."""

from pycaffe_ext.commands.upgrade_solver_proto_text import main
from pycaffe_ext.errors import run_cli

if __name__ == "__main__":
    run_cli(main)
