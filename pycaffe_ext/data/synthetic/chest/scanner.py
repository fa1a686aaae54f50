"""What a CT scanner makes of a chest: its sharpness, its slices, noise with the texture of its reconstruction kernel.

Filtered back-projection weighs frequencies by a ramp, rolled off by the kernel; so does its noise: there is little at
low frequencies, most in the middle, and where depends on the kernel (Riederer et al. 1978).  Noise is stronger where
more tissue lies in the way, and alike in neighbouring slices that overlap.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pycaffe_ext.data.synthetic.chest.raster import Field, Grid

KERNELS = {"smooth": (0.62, 0.30, 0.0), "medium": (0.50, 0.42, 0.25), "sharp": (0.40, 0.60, 0.55)}
THICKNESS = (0.6, 1.5)  # mm
NOISE = (14.0, 26.0)  # HU in the middle of the chest with the medium kernel, at 1 mm
LOUDER = {"smooth": 0.75, "medium": 1.0, "sharp": 1.45}


@dataclass(frozen=True)
class Scanner:
    """blur : mm, deviation of the point spread.   peak : cycles/mm at which noise has rolled off to 1/e.
    edges : how much edges are enhanced.   thickness : mm of a slice.   noise : HU."""

    kernel: str
    blur: float
    peak: float
    edges: float
    thickness: float
    noise: float


def draw_scanner(rng: np.random.Generator, kernel: str | None = None, thickness: float | None = None) -> Scanner:
    kernel = kernel or str(rng.choice(list(KERNELS)))
    thick = float(rng.uniform(*THICKNESS)) if thickness is None else thickness
    noise = float(rng.uniform(*NOISE)) * LOUDER[kernel] / np.sqrt(thick)
    return Scanner(kernel, *KERNELS[kernel], thickness=thick, noise=noise)


def scanned(values: Field, grid: Grid, scanner: Scanner, rng: np.random.Generator) -> Field:
    """(z, y, x) HU as the scanner shows (z, y, x) HU: blurred, in slices, noisy."""
    from scipy.ndimage import gaussian_filter, uniform_filter1d  # here: it takes a while to load

    sigma = [0.0, *(scanner.blur / step for step in grid.step[1:])]
    seen = gaussian_filter(values, sigma)
    if scanner.edges:
        seen += np.float32(scanner.edges) * (seen - gaussian_filter(seen, [2 * s for s in sigma]))
    slices = scanner.thickness / grid.step[0]
    if slices > 1.05:
        seen = uniform_filter1d(seen, max(round(slices), 1), axis=0)
    return np.asarray(seen + noise(values, grid, scanner, rng), np.float32)


def noise(values: Field, grid: Grid, scanner: Scanner, rng: np.random.Generator) -> Field:
    """(z, y, x) HU; its deviation in the middle of the body is the scanner's."""
    from scipy.fft import irfft2, rfft2

    height, width = grid.shape[1:]
    weight = _texture(height, width, grid, scanner)
    loud = _loudness(values, grid) * np.float32(scanner.noise)
    out = np.empty(grid.shape, np.float32)
    before = np.zeros((height, width), np.float32)
    alike = np.float32(np.clip(1 - grid.step[0] / scanner.thickness, 0, 0.9))
    for z in range(grid.shape[0]):
        fresh = rng.standard_normal((height, width), np.float32)
        before = alike * before + np.sqrt(1 - alike**2) * fresh
        out[z] = irfft2(rfft2(before) * weight, (height, width)) * loud
    return out


def _texture(height: int, width: int, grid: Grid, scanner: Scanner) -> Field:
    """(H, W // 2 + 1) factors of unit power over all frequencies."""
    fy = np.fft.fftfreq(height, grid.step[1])[:, None]
    frequency = np.hypot(fy, np.fft.rfftfreq(width, grid.step[2])[None])
    power = (frequency + 0.02) * np.exp(-((frequency / scanner.peak) ** 2))
    whole = np.concatenate([power, power[:, 1 : (width + 1) // 2]], axis=1)
    return np.sqrt(power / whole.mean()).astype(np.float32)


def _loudness(values: Field, grid: Grid) -> Field:
    """(H, W) of the middle slice: more inside the body, and from side to side more than from front to back."""
    from scipy.ndimage import gaussian_filter

    dense = np.clip(values[grid.shape[0] // 2] / 1000 + 1, 0, 2)
    across = dense.sum(axis=1, keepdims=True) * grid.step[2]
    down = dense.sum(axis=0, keepdims=True) * grid.step[1]
    water = gaussian_filter(0.5 * (across + down) / 150, 8 / grid.step[2])
    return np.asarray(np.clip(np.sqrt(np.maximum(water, 0.05)), 0.35, 1.4), np.float32)
