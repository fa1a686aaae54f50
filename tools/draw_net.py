"""Draw a net's graph into a picture."""

from pycaffe_ext.commands.draw_net import main
from pycaffe_ext.errors import run_cli

if __name__ == "__main__":
    run_cli(main)
