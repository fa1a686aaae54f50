"""What `make gpu-check` does: whether the GPU side of the engine is right, and how fast it is, in eight minutes.

Every check is a process of its own with a budget of its own: one that crashes, hangs, or leaves CUDA in ruins stops no
other.  `right.py` and `fast.py` hold the checks, `runner.py` runs them, `report.py` writes what they found.
"""
