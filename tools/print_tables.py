"""Print Tables I and II, read back from the emitted prototxt."""

from pycaffe_ext.commands.tables import main
from pycaffe_ext.errors import run_cli

if __name__ == "__main__":
    run_cli(main)
