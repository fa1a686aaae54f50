"""Why a step of a net with batch norms may differ more between the engines: each is as far from float64."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from oracle import float64, networks
from oracle.training import params, solver_param, train_genuine, train_ours

from pycaffe_ext.proto import read_net, write_text

RATE, DECAY = (networks.STEP_SETTINGS[name] for name in ("base_lr", "weight_decay"))


@pytest.mark.slow
@pytest.mark.thorough
@pytest.mark.genuine
@pytest.mark.parametrize("arch", networks.CHANGES)
def test_the_genuine_step_is_further_from_float64_than_other_nets_may_differ(arch, tmp_path):
    start = params(networks.prepare(tmp_path, arch))
    net = read_net(tmp_path / "net.prototxt")
    with h5py.File(tmp_path / "data.h5") as file:
        exact = float64.gradients(net, start, np.array(file["data"]), np.array(file["label"]))
    write_text(tmp_path / "solver.prototxt", solver_param(net="net.prototxt", **networks.STEP_SETTINGS))
    assert not train_genuine([tmp_path], 1)
    wanted = step_of(net, exact, start)
    found = []
    for after in (train_ours(tmp_path, 1), dict(np.load(tmp_path / "out.npz"))):
        step = {name: after[name].astype(np.float64) - start[name] for name in wanted}
        errors = networks.step_errors(step, wanted, start)
        assert len(errors) > 50
        found.append(max(errors.values()))
    mine, genuine = found
    assert networks.CHANGE < genuine < networks.CHANGES[arch]
    assert mine < 1.5 * genuine


def step_of(net, exact, start) -> dict[str, np.ndarray]:
    """LAYER:i -> the first step of plain SGD with these gradients."""
    own = {f"{layer.name}:{i}": param for layer in net.layer for i, param in enumerate(layer.param)}
    return {
        name: -RATE * own[name].lr_mult * (gradient + DECAY * own[name].decay_mult * start[name].astype(np.float64))
        for name, gradient in exact.items()
    }
