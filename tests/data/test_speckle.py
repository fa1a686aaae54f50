"""The physics of the phantom: statistics of speckle, the pulse's correlation lengths, log compression."""

from __future__ import annotations

import numpy as np
import pytest

from pycaffe_ext.data.synthetic.speckle import Pulse, compressed, echoes, envelope

DOWN, ACROSS = 0.02, 0.06
PULSE = Pulse(7.0, 0.11, 0.24)


@pytest.fixture(scope="module")
def tissue():
    """Envelope of homogeneous tissue, without its border."""
    scatterers = np.random.default_rng(0).standard_normal((1800, 600)).astype(np.float32)
    return envelope(echoes(scatterers, PULSE, DOWN, ACROSS))[100:-100, 30:-30]


def test_the_envelope_is_rayleigh_distributed(tissue):
    size = tissue / np.sqrt((tissue**2).mean() / 2)  # deviation of the parts: 1
    assert size.mean() / size.std() == pytest.approx(np.sqrt(np.pi / (4 - np.pi)), rel=0.02)  # 1.91
    for level in (0.5, 1.0, 2.0, 3.0):
        assert (size > level).mean() == pytest.approx(np.exp(-(level**2) / 2), rel=0.08)


def correlation_length(power, axis, step):
    """Lag in mm at which the correlation of the power falls to 1/e."""
    part = power - power.mean()
    lags = range(40)
    n = power.shape[axis]
    values = [(part.take(range(n - lag), axis) * part.take(range(lag, n), axis)).mean() / part.var() for lag in lags]
    at = next(i for i, value in enumerate(values) if value < np.exp(-1))
    return step * (at - 1 + (values[at - 1] - np.exp(-1)) / (values[at - 1] - values[at]))


def test_correlation_lengths_are_those_of_the_pulse(tissue):
    """The power's correlation is the square of that of the amplitude, exp(-lag^2 / (4 s^2)): 1/e at s times root 2."""
    power = tissue.astype(np.float64) ** 2
    assert correlation_length(power, 0, DOWN) == pytest.approx(PULSE.axial * np.sqrt(2), rel=0.05)
    assert correlation_length(power, 1, ACROSS) == pytest.approx(PULSE.lateral * np.sqrt(2), rel=0.05)


def test_an_edge_is_where_the_mean_power_is_half():
    rng = np.random.default_rng(1)
    scatterers = rng.standard_normal((500, 6000)).astype(np.float32)
    scatterers[:250] *= 0.01
    power = (envelope(echoes(scatterers, PULSE, DOWN, ACROSS)).astype(np.float64) ** 2).mean(axis=1)
    power /= power[300:450].mean()
    edge = np.interp(0.5, power[230:270], np.arange(230, 270))
    assert edge == pytest.approx(249.5, abs=1.0)  # 0.02 mm


def test_a_kernel_has_unit_energy_whatever_its_sampling():
    for step in (0.01, 0.02, 0.03):
        assert (PULSE.along(step) ** 2).sum() == pytest.approx(1, rel=1e-5)
        assert (PULSE.across(step) ** 2).sum() == pytest.approx(1, rel=1e-5)


def test_log_compression():
    size = np.array([[10.0, 1.0, 0.1, 1e-9, 0.0]], np.float32)
    assert compressed(size, 10.0, 60).tolist()[0] == pytest.approx([255, 170, 85, 0, 0], abs=1e-3)
    assert compressed(size, 10.0, 60, gain=-20)[0, 0] == pytest.approx(170, abs=1e-3)
    assert compressed(size, 10.0, 60, curve=2)[0, 1] == pytest.approx(255 * (2 / 3) ** 2, abs=1e-3)
