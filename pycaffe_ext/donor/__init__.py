"""The embedded donor: a narrow AlexNet pre-trained on procedural images, so that fine-tuning works offline."""

from pathlib import Path

DONOR = Path(__file__).with_name("alexnet_eighth.caffemodel")
