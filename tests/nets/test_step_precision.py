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
    after = [train_ours(tmp_path, 1), dict(np.load(tmp_path / "out.npz"))]
    mine, genuine = (farthest(net, exact, start, values) for values in after)
    assert networks.CHANGE < genuine < networks.CHANGES[arch]
    assert mine < 1.5 * genuine


def farthest(net, exact, start, after) -> float:
    """The largest distance of a parameter's step from that of float64, over the latter's norm."""
    found = []
    for layer in net.layer:
        for i, own in enumerate(layer.param):
            name = f"{layer.name}:{i}"
            if name in exact:
                wanted = -RATE * own.lr_mult * (exact[name] + DECAY * own.decay_mult * start[name].astype(np.float64))
                step = after[name].astype(np.float64) - start[name]
                if np.linalg.norm(step) > networks.STILL * np.linalg.norm(start[name]):
                    found.append(float(np.linalg.norm(step - wanted) / np.linalg.norm(wanted)))
    assert len(found) > 50
    return max(found)
