"""Ray: a cluster of three nodes on this machine, one killed in the middle; no run is lost, none is done twice."""

from __future__ import annotations

import threading
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import pytest
from grid_lab import Stubs, grid
from patience import wait_until

from pycaffe_ext.errors import UserError
from pycaffe_ext.runs.settings import Machine
from pycaffe_ext.studies import cluster
from pycaffe_ext.studies.states import FAILED, FINISHED

needs_ray = pytest.mark.skipif(not find_spec("ray"), reason="needs Ray: pip install 'pycaffe_ext[ray]'")
SMALL = 1e6  # bytes of a stand-in


@pytest.fixture
def nodes(monkeypatch):
    """A head and two nodes, of a core each."""
    import ray
    from ray.cluster_utils import Cluster

    monkeypatch.setattr("builtins.print", print)  # Ray puts its own in its place
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    others = [made.add_node(num_cpus=1) for _ in range(2)]
    yield made, others
    ray.shutdown()
    made.shutdown()


def lines(file: Path) -> list[str]:
    return file.read_text().split() if file.exists() else []


@needs_ray
@pytest.mark.slow
def test_a_node_that_dies_loses_no_run_and_none_is_done_twice(nodes, tmp_path):
    made, others = nodes
    own = grid(seeds=range(6))
    failing = own.cells[3].settings.name()
    stubs = Stubs(own, tmp_path, {failing: "fail", "*": "slow"})

    def kill() -> None:
        wait_until(lambda: len(lines(tmp_path / "ends")) >= 3)
        made.remove_node(others[0], allow_graceful=False)

    thread = threading.Thread(target=kill)
    thread.start()
    said: list[str] = []
    states = cluster.run_all(own.cells, stubs, Machine(), SMALL, made.address, said.append)
    thread.join()
    names = {cell.settings.name() for cell in own.cells}
    assert Counter(state.state for state in states) == {FINISHED: 11, FAILED: 1}
    assert Counter(lines(tmp_path / "ends")) == dict.fromkeys(names - {failing}, 1)
    assert set(stubs.calls) == names and len(said) == 12
    assert sum("failed: training has diverged" in line for line in said) == 1
    with pytest.raises(UserError, match="no machine of the cluster has 64 cores, 0 GPUs"):
        cluster.run_all(own.cells, stubs, Machine(threads=64), SMALL, made.address, said.append)


def test_without_ray_an_address_is_refused(monkeypatch):
    monkeypatch.setattr(cluster, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"ADDRESS=auto needs Ray: pip install 'pycaffe_ext\[ray\]'"):
        cluster.run_all((), lambda *_: None, Machine(), 0, "auto", print)  # type: ignore[arg-type]
