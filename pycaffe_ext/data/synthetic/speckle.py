"""Ultrasound of scatterers: a pulse over random scatterers, its envelope, log compression.  Arrays in, arrays out.

Echoes are linear: the signal is the scatterers' strength convolved with the pulse's point spread function (Bamber and
Dickinson 1980), which is separable here, a Gaussian times a cosine in depth and a Gaussian across.  Where many
scatterers of one strength share a resolution cell, the envelope is Rayleigh distributed: mean / deviation = 1.91.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
SOUND = 1.54  # mm per microsecond in tissue
REACH = 3.5  # standard deviations at which a kernel is cut off


@dataclass(frozen=True)
class Pulse:
    """frequency : MHz.   axial, lateral : mm, standard deviations of the two Gaussians of the amplitude."""

    frequency: float = 7.0
    axial: float = 0.11
    lateral: float = 0.22

    def along(self, step: float) -> Floats:
        """Kernel in depth, of unit energy, sampled every `step` mm; an echo's way is twice the depth."""
        z = _grid(self.axial, step)
        wave = np.exp(-(z**2) / (2 * self.axial**2)) * np.cos(2 * np.pi * 2 * self.frequency / SOUND * z)
        return (wave / np.sqrt((wave**2).sum())).astype(np.float32)

    def across(self, step: float) -> Floats:
        """Kernel across, of unit energy."""
        x = _grid(self.lateral, step)
        wave = np.exp(-(x**2) / (2 * self.lateral**2))
        return (wave / np.sqrt((wave**2).sum())).astype(np.float32)


def echoes(scatterers: Floats, pulse: Pulse, down: float, across: float) -> Floats:
    """(H, W) radio-frequency signal of (H, W) strengths, every `down` mm in depth and every `across` mm."""
    kernels = pulse.across(across), pulse.along(down)  # symmetric: a correlation is a convolution
    border = cv2.BORDER_CONSTANT
    return np.asarray(cv2.sepFilter2D(scatterers, cv2.CV_32F, *kernels, borderType=border), np.float32)


def envelope(signal: Floats) -> Floats:
    """(H, W) size of the analytic signal in depth, by the Hilbert transform; depth is padded against wrapping round."""
    from scipy.fft import next_fast_len
    from scipy.signal import hilbert

    height = signal.shape[0]
    return np.abs(hilbert(signal, N=next_fast_len(height + 64), axis=0)[:height]).astype(np.float32)


def compressed(size: Floats, reference: float, decibels: float, gain: float = 0.0, curve: float = 1.0) -> Floats:
    """(H, W) greys 0 to 255: `reference` is white, `decibels` below it black.  gain : dB.   curve : exponent after."""
    level = 20 * np.log10(np.maximum(size, 1e-12) / reference) + gain
    return np.asarray(255 * np.clip(1 + level / decibels, 0, 1) ** curve, np.float32)


def _grid(deviation: float, step: float) -> Floats:
    half = int(np.ceil(REACH * deviation / step))
    return np.arange(-half, half + 1) * step
