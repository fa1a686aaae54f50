"""The embedded donor: a narrow AlexNet pre-trained on procedural images, so that fine-tuning works offline."""
