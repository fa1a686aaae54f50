"""Write a data set of synthetic colonoscopy sequences: images/VIDEO/NNNN.jpg and masks/VIDEO/NNNN.png."""

from pycaffe_ext.commands.synthetic import main
from pycaffe_ext.errors import run_cli

if __name__ == "__main__":
    run_cli(main)
