"""Turn a state dict of one of torchvision's nets into a caffemodel with a card, for WEIGHTS=."""

from pycaffe_ext.commands.import_weights import main
from pycaffe_ext.errors import run_cli

if __name__ == "__main__":
    run_cli(main)
