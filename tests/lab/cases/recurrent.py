"""LSTM, RNN and LSTMUnit: steps, streams, resets of sequences, static inputs, exposed states."""

from __future__ import annotations

import itertools

import numpy as np
from engine_cases import Case, layer

STATES = {"LSTM": ("h0", "c0"), "RNN": ("h0",)}


def recurrent(
    kind: str,
    shape: tuple[int, ...],
    size: int = 3,
    static: tuple[int, ...] = (),
    exposed: bool = False,
    more: str = "",
    name: str = "",
    settings: str = "",
    **rest,
) -> Case:
    """One recurrent layer on x of `shape`, then the layers `more`; cont is random, 0 or 1, unless given."""
    shapes = {"x": shape, "cont": shape[:2]} | ({"s": (shape[1], *static)} if static else {})
    tops = ["y"]
    if exposed:
        shapes |= dict.fromkeys(STATES[kind], (1, shape[1], size))
        tops += [state.replace("0", "T") for state in STATES[kind]]
    text = f"recurrent_param {{ num_output: {size} {'expose_hidden: true' if exposed else ''} }} {settings}"
    title = f"{kind} {shape} {size} {static or ''} {'exposed' if exposed else ''} {name} {rest.get('phase', '')}"
    rest.setdefault("labels", {"cont": 2})
    return Case(" ".join(title.split()), shapes, layer(kind, text, " ".join(shapes), " ".join(tops)) + more, **rest)


def grid() -> list[Case]:
    shapes = ((1, 1, 2), (1, 4, 3), (5, 1, 3), (4, 3, 5), (9, 2, 2, 3))
    return [
        recurrent(kind, shape, static=static) for kind, shape, static in itertools.product(STATES, shapes, ((), (4,)))
    ]


def special(kind: str) -> list[Case]:
    shape = (4, 3, 5)
    ones, zeros = np.ones(shape[:2]), np.zeros(shape[:2])
    late = np.stack([np.zeros(3), *np.ones((3, 3))])
    cases = [
        recurrent(kind, shape, name=name, values={"cont": cont})
        for name, cont in (("never reset", ones), ("reset at each step", zeros), ("reset at the start", late))
    ]
    cases += [
        recurrent(kind, shape, name="parts of a reset", values={"cont": np.linspace(0, 1.5, 12)}),
        recurrent(kind, shape, exposed=True),
        recurrent(kind, (1, 2, 3), exposed=True, static=(2, 2)),
        recurrent(kind, shape, exposed=True, name="state used", more=layer("Sigmoid", "", "hT", "z")),
        recurrent(kind, shape, phase="TEST"),
        recurrent(kind, shape, size=1),
        recurrent(kind, shape, name="in place above", more=layer("ReLU", "", "y", "y")),
        recurrent(kind, shape, name="large", scale=8, params=2.0),
        recurrent(kind, (12, 2, 4), name="long", values={"cont": np.ones((12, 2))}),
        recurrent(kind, shape, name="frozen", settings="loss_weight: 1 param { lr_mult: 0 }"),
    ]
    second = layer(kind, "recurrent_param { num_output: 2 }", "y cont", "z", name="second")
    return [*cases, recurrent(kind, shape, name="two layers", more=second)]


def units() -> list[Case]:
    text = layer("LSTMUnit", "", "c gates cont", "d h")
    return [
        Case(f"LSTMUnit {n} {d}", {"c": (1, n, d), "gates": (1, n, 4 * d), "cont": (1, n)}, text, labels={"cont": 2})
        for n, d in ((1, 1), (3, 2), (4, 5))
    ]


CASES = [*grid(), *special("LSTM"), *special("RNN"), *units()]
