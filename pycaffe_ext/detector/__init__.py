"""The hand-crafted polyp detector of the paper's reference [42]: candidates of a frame, each a box with a score."""

from pycaffe_ext.detector.candidates import detect, detect_all, detect_each
from pycaffe_ext.detector.model import UNTRAINED_MODEL, Model
from pycaffe_ext.detector.settings import UNTRAINED, Detector
from pycaffe_ext.detector.training import cross_fitted, train
from pycaffe_ext.detector.truth import centres, inside, lesion_of, lesions

__all__ = [
    "UNTRAINED",
    "UNTRAINED_MODEL",
    "Detector",
    "Model",
    "centres",
    "cross_fitted",
    "detect",
    "detect_all",
    "detect_each",
    "inside",
    "lesion_of",
    "lesions",
    "train",
]
