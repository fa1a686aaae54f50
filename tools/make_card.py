"""Write the card of a donor: what it was trained on, in NAME.card.prototxt beside the file."""

from pycaffe_ext.commands.card import main
from pycaffe_ext.errors import run_cli

if __name__ == "__main__":
    run_cli(main)
