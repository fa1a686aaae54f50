"""Emit nets and solvers at the paper's sizes: AlexNet's into prototxt/ and solvers/, another net's into --out."""

from pycaffe_ext.commands.prototxt import main
from pycaffe_ext.errors import run_cli

if __name__ == "__main__":
    run_cli(main)
