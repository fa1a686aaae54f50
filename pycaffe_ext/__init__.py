"""Reproduces, and puts to use, "Full Training or Fine Tuning?" (Tajbakhsh et al., IEEE TMI 2016)."""

__version__ = "0.1.0"
