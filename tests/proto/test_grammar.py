"""The text parser takes what Caffe's own parser takes, gives the same values, and refuses the rest."""

from __future__ import annotations

import random
from pathlib import Path

import genuine_python
import numpy as np
import pytest
from text_tokens import ACCEPTED, KINDS, REFUSED

from pycaffe_ext import strings
from pycaffe_ext.errors import UserError
from pycaffe_ext.proto import caffe_pb2, encoding, parse, text_parser
from pycaffe_ext.proto.plain import plain_block
from pycaffe_ext.proto.text_parser import Parser

TOKENS = [text % token for text, _, accepted, refused in KINDS.values() for token in [*accepted, *refused]]
MIXED = b"""name: "net" # c
layer { name: 'a\\n' type: "Convolution" top: "y" loss_weight: [1, 2.5e-3f] loss_weight: -inf phase: TEST
  param < lr_mult: .5 > convolution_param { num_output: 017 bias_term: false kernel_size: [3, 0x1f]; engine: CAFFE, } }
input_dim: - 1 debug_info: 01 state { stage: "a" "\\377" } layer { propagate_down: [t, 0] name: "\\x41\\u00e9" }
"""
PIECES = [
    *(bytes([code]) for code in b"\"'\\{}<>[]:,;#\n\r \t\v\0-+.09xef_\xff"),
    b"\xc3\xa9",
    b"inf",
    b"0x",
    b"true",
    b"\\u12",
    b"\\7",
    b"\\?",
    b"1e5",
    b"top:",
    b"layer{",
    b"name:'q'",
]


def ours(text: bytes) -> bytes | None:
    """A net's text in binary, None where it is refused (in one line)."""
    try:
        return encoding.serialize(parse(strings.decode(text), caffe_pb2.NetParameter(), "net"))
    except UserError as error:
        assert str(error).startswith("net:") and "\n" not in str(error)
        return None


def theirs(texts: list[bytes], folder: Path) -> list[bytes | None]:
    for i, text in enumerate(texts):
        (folder / f"{i:06}.txt").write_bytes(text)
    driver = Path(__file__).parents[1] / "lab" / "genuine_text.py"
    genuine_python.run(driver, folder, "Net")
    made = [folder / f"{i:06}.bin" for i in range(len(texts))]
    return [path.read_bytes() if path.exists() else None for path in made]


def values(content: bytes, field: str) -> list[object]:
    """All values of a field, `a.b.c`, of a net in binary."""
    net = caffe_pb2.NetParameter()
    encoding.unserialize(content, net)
    found: list = [net]
    for name in field.split("."):
        found = [getattr(message, name) for message in found]
        found = [item for value in found for item in (value if hasattr(value, "append") else [value])]
    return [strings.encode(value) if isinstance(value, str) else value for value in found]


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_have_their_values(kind):
    text, field, accepted, refused = KINDS[kind]
    for token, value in accepted.items():
        assert (content := ours(text % token)) is not None, token
        (found,) = values(content, field)
        assert found == value or (np.isnan(found) and np.isnan(value)), token
    assert [token for token in refused if ours(text % token) is not None] == []


def test_texts_mean_the_same_as_plain_ones():
    assert [text for text, plain in ACCEPTED.items() if ours(text) is None or ours(text) != ours(plain)] == []


def test_the_rest_is_refused():
    assert [text for text in REFUSED if ours(text) is not None] == []


def mutated(count: int) -> list[bytes]:
    """Texts one or two random changes away from a good one."""
    rng, texts = random.Random(0), []
    for _ in range(count):
        text = bytearray(MIXED)
        for _ in range(rng.randint(1, 2)):
            place = rng.randrange(len(text))
            text[place : place + rng.choice((0, 0, 1, 3))] = rng.choice([*PIECES, b""])
        texts.append(bytes(text))
    return texts


@pytest.mark.genuine
def test_the_genuine_parser_takes_and_refuses_the_same(tmp_path):
    texts = [*TOKENS, *ACCEPTED, *ACCEPTED.values(), *REFUSED, *mutated(1000)]
    found = [ours(text) for text in texts]
    wanted = theirs(texts, tmp_path)
    assert [(text, a, b) for text, a, b in zip(texts, found, wanted, strict=True) if a != b] == []
    assert sum(content is not None for content in wanted[-1000:]) > 50


def test_each_token_is_looked_at_once():
    """So the time is in proportion to the text, whatever the machine."""
    steps = []

    class Counting(Parser):
        def next(self) -> None:
            steps.append(self)
            super().next()

    Counting("layer { name: 'a' top: ['x', 'y'] }\n" * 2000).fields(caffe_pb2.NetParameter())
    assert len(steps) == 2000 * 13 + 1


PLAIN = 'layer { name: "a" type: "Convolution"\n top: "b" convolution_param { %s weight_filler { type: "msra" } } }\n'
UNUSUAL = (
    "num_output: 0x1f",
    "num_output: 017",
    "num_output: -1",
    "num_output: 4294967296",
    "num_output: 1f",
    "num_output: 8 num_output: 8",
    "bias_term: false bias_term: false",
    "pad: 1 pad: 2",
    "pad: [1, 2]",
    "pad: []",
    "bias_term: true;",
    "bias_term: truef",
    "bias_term: 1",
    "bias_term: maybe",
    "engine: CAFFE,",
    "engine: CAFFED",
    "engine: 1",
    "engine: CAFFE engine: CUDNN",
    "weight_filler { type: 'a' }",
    "weight_filler { }",
    "bias_filler {} ",
    "bias_filler { std: 1e-2 min: -.5 max: inf value: 0x1 }",
    "bias_filler { std: 1e400 }",
    'bias_filler { type: "x" "y" }',
    'bias_filler { type: "\\x41" }',
    'bias_filler: { type: "\u00e9" }',
    "bias_filler < value: 1 >",
    "bias_filler { value: 1 > ",
    "} }",
    "}",
    "{",
    "axis: 1 # a }\n",
    "axis # :\n : 1",
    "axis:\t1",
    "nosuch: 1",
    "bias_filler: 3",
    "axis { }",
    "axis: \u00e9",
    'axis: "1"',
    "axis: 1\0",
    "pad: 1pad: 2",
)


@pytest.mark.parametrize("inside", ["", *UNUSUAL])
def test_the_short_way_through_plain_layers_reads_what_the_long_one_reads(inside, monkeypatch):
    """The same message or the same words about the same mistake, with plain layers around it."""
    text = PLAIN % "" + PLAIN % inside + PLAIN % "num_output: 8"
    assert plain_block(PLAIN % inside, len("layer {"), caffe_pb2.LayerParameter.DESCRIPTOR) or inside
    short = outcome(text)
    monkeypatch.setattr(text_parser, "plain_block", lambda *_: None)
    assert outcome(text) == short


def outcome(text: str) -> caffe_pb2.NetParameter | str:
    try:
        return parse(text, caffe_pb2.NetParameter())
    except UserError as error:
        return str(error)


def test_the_layers_of_a_published_net_are_plain(monkeypatch):
    """Each is one step of the parser then, with comments and repeated blocks in it too."""
    steps = []
    inside = "pad: 1 # one\n stride: 2 engine: CAFFE bias_filler { value: 0.1 }"
    monkeypatch.setattr(text_parser.Parser, "next", counting(text_parser.Parser.next, steps))
    net = parse(PLAIN % inside * 100, caffe_pb2.NetParameter())
    assert len(net.layer) == 100
    assert len(steps) == 2 * 100 + 1


def counting(function, steps: list):
    def counted(self) -> None:
        steps.append(self)
        function(self)

    return counted
