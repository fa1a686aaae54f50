"""Pulmonary embolism without learning: where the lungs and their vessels are (`lungs`, `segmentation`), where voxels
slide to (`toboggan`), candidates with a score (`candidates`), and along which axis a vessel runs (`axis`).

Arrays are (z, y, x) with z from slice to slice, `step` is mm of a voxel in that order, values are Hounsfield units.
"""
