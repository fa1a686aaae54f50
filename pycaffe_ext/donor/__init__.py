"""The embedded donor: a narrow AlexNet pre-trained on procedural and synthetic images, for fine-tuning offline."""

from pathlib import Path

DONOR = Path(__file__).with_name("alexnet_eighth.caffemodel")
