"""CT volumes with the clots in them, for pulmonary embolism.

`volume.py` is the item, `geometry.py` its place in the patient, `image_files.py` and `dicom.py` read voxels, `clots.py`
masks and positions, `window.py` makes bytes of Hounsfield units; a module for each data set reads its layout.

Arrays are (z, y, x) in Hounsfield units, points (x, y, z) in mm in DICOM's patient coordinates (LPS).
"""

from pycaffe_ext.data.volumes.geometry import Geometry, oriented, resampled
from pycaffe_ext.data.volumes.recognise import SOURCES, find, recognise
from pycaffe_ext.data.volumes.volume import Volume

__all__ = ["SOURCES", "Geometry", "Volume", "find", "oriented", "recognise", "resampled"]
