"""Write a wrapper for the caffe of a container image (docker, podman, apptainer), to be given as CAFFE=."""

from pycaffe_ext.commands.container_caffe import main
from pycaffe_ext.errors import run_cli

if __name__ == "__main__":
    run_cli(main)
