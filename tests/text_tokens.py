"""Which tokens Caffe's text parser takes, with their values, and which it refuses.  Read by test_proto_grammar.py.

Every row was measured on the genuine Caffe 1.0 (protobuf 3.12), which is asked again where it is installed.
Texts are bytes, as files are.
"""

from __future__ import annotations

INF, NAN = float("inf"), float("nan")

# Of each kind: a text with the token's place, the field that takes it, and the tokens
INTEGER = (b"input_dim: %s", "input_dim", {
    b"1": 1, b"01": 1, b"0x1": 1, b"0X1f": 31, b"017": 15, b"00": 0, b"-0": 0, b"-1": -1, b"- 1": -1, b"-\n1": -1,
    b"-#c\n1": -1, b"-0x10": -16, b"-017": -15, b"2147483647": 2**31 - 1, b"-2147483648": -(2**31), b"1#c": 1,
    b"1;": 1,
}, [b"+1", b"1_000", b"0b10", b"0o10", b"08", b"1.0", b"1e2", b"1f", b"0x", b"0x1g", b"1u", b"- -1", b"1 2", b"'1'",
    b"2147483648", b"-2147483649", b"18446744073709551616", b"true", b"1;;", b"1,;", b"\xd9\xa3", b"1.a", b"1 .5",
    b"-"])
LONG = (b"input_shape { dim: %s }", "input_shape.dim", {
    b"9223372036854775807": 2**63 - 1, b"-9223372036854775808": -(2**63)}, [b"9223372036854775808"])
UNSIGNED = (b"layer { convolution_param { num_output: %s } }", "layer.convolution_param.num_output", {
    b"1": 1, b"01": 1, b"0x1": 1, b"4294967295": 2**32 - 1},
    [b"-1", b"-0", b"- 0", b"+1", b"1.", b"1f", b"4294967296"])
REAL = (b"layer { loss_weight: %s }", "layer.loss_weight", {
    b"1": 1, b"1.": 1, b".5": 0.5, b".5f": 0.5, b"1f": 1, b"1F": 1, b"1.f": 1, b"0f": 0, b"1e3": 1000, b"1.e3": 1000,
    b"1E+3": 1000, b"5.e-1F": 0.5, b"-1": -1, b"- 1": -1, b"-.5": -0.5, b"inf": INF, b"INF": INF, b"-inf": -INF,
    b"- inf": -INF, b"infinity": INF, b"-Infinity": -INF, b"nan": NAN, b"-nan": NAN, b"NaN": NAN, b"1e39": INF,
    b"-1e400": -INF, b"3.4028236e38": INF, b"3.4028235e38": 3.4028234663852886e38, b"1e-46": 0, b"-0": 0, b"0": 0,
    b"16777217": 16777216, b"9007199254740993": 2**53,
    b"123456789012345678901234567890": float.fromhex("0x1.8ee91p+96"),
}, [b"+1", b"1_0", b"0x10", b"010", b"00", b"08", b"01.5", b"01e3", b"00f", b"-0x1", b"0x1p3", b"inff", b"-inff",
    b"nanf", b"infinityf", b"1.0ff", b"1e", b"1e+", b"1.5.5", b"1..5", b"1d", b"1l", b".e3", b". 5", b"1 .5", b"true",
    b"'1'", b"-", b"-'a'", b"1top:'a'", b"1.top:'a'"])
BOOL = (b"force_backward: %s", "force_backward", {
    b"true": True, b"True": True, b"t": True, b"1": True, b"01": True, b"001": True, b"0x1": True, b"0X01": True,
    b"false": False, b"False": False, b"f": False, b"0": False, b"00": False, b"0x0": False,
}, [b"TRUE", b"FALSE", b"T", b"F", b"2", b"0x2", b"-0", b"-1", b"1.0", b"1f", b"yes", b"on", b"'true'"])
ENUM = (b"layer { phase: %s }", "layer.phase", {
    b"TRAIN": 0, b"TEST": 1, b"0": 0, b"1": 1, b"01": 1, b"0x1": 1, b"-0": 0},
    [b"test", b"Test", b"7", b"-1", b"- 1", b"+1", b"1.0", b"'TEST'", b"4294967296", b"4294967297"])
STRING = (b"name: %s", "name", {
    b'"a"': b"a", b"'a'": b"a", b'"a" \'b\'\n#c\n"c"': b"abc", b'""': b"", b"'a\"b'": b'a"b',
    b'"\xc3\xa9"': b"\xc3\xa9", rb'"\a\b\f\n\r\t\v\\\?"': b"\a\b\f\n\r\t\v\\?", rb'"\""': b'"', rb"'\''": b"'",
    rb'"\1"': b"\1", rb'"\18"': b"\0018",
    rb'"\101"': b"A", rb'"\377"': b"\xff", rb'"\400"': b"\0", rb'"\777"': b"\xff", rb'"\303\251"': b"\xc3\xa9",
    rb'"\303" "\251"': b"\xc3\xa9", rb'"\x41"': b"A", rb'"\x4"': b"\4", rb'"\x414"': b"A4", rb'"\xb5\xc4"': b"\xb5\xc4",
    rb'"\u00e9"': b"\xc3\xa9", rb'"\U0001f600"': b"\xf0\x9f\x98\x80", rb'"\ud83d\ude00"': b"\xf0\x9f\x98\x80",
    rb'"\U0000d83d\ude00"': b"\xf0\x9f\x98\x80", rb'"\ud83d"': b"\xed\xa0\xbd", rb'"\udead"': b"\xed\xba\xad",
    rb'"\U00110000"': b"\xf4\x90\x80\x80", rb'"\U001fffff"': b"\xf7\xbf\xbf\xbf", b'"a\tb\rc\x01"': b"a\tb\rc\x01",
    b'"\xb5\xc4"': b"\xb5\xc4", b'"\xb5\\x41\xc4"': b"\xb5A\xc4", b'"\xf4\x8f\xbe\xb5"': b"\xf4\x8f\xbe\xb5",
    b'"\xef\xbb\xbf"': b"\xef\xbb\xbf", rb'"C:\\data\\new"': rb"C:\data\new", rb'"C:\new\train"': b"C:\new\train",
}, [rb'"C:\data\train"', rb'"\d"', rb'"\e"', rb'"\8"', rb'"\X41"', rb'"\x"', rb'"\xg"', rb'"\u00E"', rb'"\U1"',
    rb'"\U00200000"', b'"\\\n"', b'"\\\r\n"', b'"a\nb"', b'"a', b'"a\\', b"'a\"", b'"a\0b"', b"a", b"1", b"`a`",
    b'["a"]', b"\xe2\x80\x9ca\xe2\x80\x9d"])  # fmt: skip
KINDS = {"integer": INTEGER, "long": LONG, "unsigned": UNSIGNED, "real": REAL, "bool": BOOL, "enum": ENUM,
         "string": STRING}  # fmt: skip

# What may stand between tokens and around them: a text and a plain one of the same meaning
ACCEPTED = {
    b"": b"",
    b"#c": b"",
    b"#c\r#d\rname: 'a'": b"",
    b"#c\x0bname: 'a'": b"",
    b"#c\rname: 'a'\nname: 'b'": b"name: 'b'",
    b"#\xef\xbb\xbf \xa0 \xb5\xc4\nname: 'a'": b"name: 'a'",
    b"#\n#\r\n\r\nname: 'a'\r\n": b"name: 'a'",
    b"name: 'a'\rinput: 'b'": b"name: 'a' input: 'b'",
    b"name\n:\x0b\x0c'a';": b"name: 'a'",
    b"input_dim:1,input_dim:2;input_dim:3": b"input_dim: 1 input_dim: 2 input_dim: 3",
    b"layer: {} layer <> layer: <>": b"layer {} layer {} layer {}",
    b"layer [{}, <>] layer: []": b"layer {} layer {}",
    b"layer { name: 'a', top: 'b'; top: 'c' };": b"layer { name: 'a' top: 'b' top: 'c' }",
    b"layer{name:'a'top:'b'}layer{loss_weight:1\ntop:'c'}":
        b"layer { name: 'a' top: 'b' } layer { loss_weight: 1 top: 'c' }",
    b"layer { top: ['a' 'b', \"c\"] top: [] top: 'd' }": b"layer { top: 'ab' top: 'c' top: 'd' }",
    b"layer { loss_weight: [1, 2.5f, - 3 ] }": b"layer { loss_weight: 1 loss_weight: 2.5 loss_weight: -3 }",
    b"layer { propagate_down: [t, 0] }": b"layer { propagate_down: true propagate_down: false }",
    b"layers { type: 4 param: 'w' }": b"layers { type: CONVOLUTION param: 'w' }",
    b"layer { include: { phase: TEST } clip_param { min: 0 max: 1 } }":
        b"layer { include { phase: 1 } clip_param { max: 1 min: 0 } }",
}  # fmt: skip
REFUSED = [
    b"\xef\xbb\xbfname: 'a'", b"name: 'a'\xef\xbb\xbf", b"name:\xc2\xa0'a'", b"name:\xa0'a'", b"name:\xe3\x80\x80'a'",
    b"name:\x85'a'", b"\xb5name: 'a'", b"name: 'a'\0", b"name: 'a' #\0", b"#\0\nname: 'a'", b"name: 'a'\x1a",
    b"name: 'a'\x7f", b"name 'a'", b"name:: 'a'", b"name='a'", b"name: 'a'.", b"'name': 'a'", b"Name: 'a'", b"1: 'a'",
    b"name: 'a' name: 'a'", b"name: a.b", b"name.5: 'a'", b"a", b"a.b: 1", b"[a]: 1", b"[a.b] {}", b"[b.c/a] {}",
    b"name: 'a' // c", b"name: 'a' /* c */", b"name: 'a' !", b"name: 'a'}", b"{ name: 'a' }", b"}", b"layer", b"layer:",
    b"layer { >", b"layer < }", b"layer { name: 'a'", b"layer { } }", b"layer { ; }", b"layer: [{}{}]", b"layer: [{},]",
    b"layer { top: [,] }", b"layer { top: ['a',] }", b"layer { top: [['a']] }", b"layer { top: 'a', 'b' }",
    b"name: ['a']",
    b"layer { loss_weight: [1 2] }", b"layer { loss_weight: [1; 2] }", b"layer { phase: TRAINtop: 'b' }",
    b"layer { phase: TRAIN phase: TEST }", b"layer { convolution_param {} convolution_param {} }",
    b"layer { convolution_param: [{}] }", b"layer { clip_param { min: 0 } }", b"layer { include: TRAIN }",
    b"layer { name {} }", b"layer { name: {} }", b"layer { foo {} }", b"layer { param: 'w' }", b"layer { type: 4 }",
    b"layer { type: CONVOLUTION }", b"layers { type: \"Convolution\" }", b"input_dim: 1input_dim: 2",
]  # fmt: skip
