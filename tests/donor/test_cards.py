"""Cards: written, read back, written by hand, and every mistake in one line."""

import numpy as np
import pytest

from pycaffe_ext import proto
from pycaffe_ext.donor import cards
from pycaffe_ext.donor.cards import Card, card_path, find_card, read_card, write_card
from pycaffe_ext.errors import UserError
from pycaffe_ext.files import digest


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "my.caffemodel"
    path.write_bytes(b"weights")
    return path


def test_a_card_lies_beside_its_weights(tmp_path):
    for name in ("my.caffemodel", "my.caffemodel.h5", "my.npy"):
        assert card_path(tmp_path / name) == tmp_path / "my.card.prototxt"
    assert card_path("a/v1.1.caffemodel").name == "v1.1.card.prototxt"


def test_what_is_written_is_read_back(weights):
    card = Card((104, 117, 123.68), scale=0.01735, input_size=227, arch="squeezenet", source="a page", licence="MIT")
    path = write_card(weights, card)
    assert path == weights.with_name("my.card.prototxt")
    found = find_card(weights)
    assert found == Card(
        (104, 117, 123.68),
        None,
        0.01735,
        "BGR",
        227,
        "my.caffemodel",
        digest(weights, "sha1"),
        "squeezenet",
        "a page",
        "MIT",
    )
    assert "mean_value: 123.68\n" in path.read_text(), "as a person wrote it"
    assert cards.text_of(found) == "BGR minus 104, 117, 123.68, times 0.01735"


def test_without_a_file_there_is_no_card(weights):
    assert find_card(weights) is None


def test_a_card_written_by_hand_may_leave_lines_out(weights):
    path = card_path(weights)
    path.write_text("# mine\ntransform_param { mean_value: 110 mirror: true crop_size: 227 }\n")
    assert find_card(weights) == Card((110,), input_size=227)
    path.write_text("")
    assert find_card(weights) == Card(), "nothing is known: neither mean nor order is claimed"


def test_a_mean_file_is_found_from_the_cards_folder(weights, tmp_path):
    (tmp_path / "means").mkdir()
    mean = np.arange(3 * 4 * 4, dtype=np.float32).reshape(3, 4, 4)
    proto.write_mean(tmp_path / "means" / "m.binaryproto", mean)
    path = write_card(weights, Card(mean_file=tmp_path / "means" / "m.binaryproto"))
    assert 'mean_file: "means/m.binaryproto"' in path.read_text()
    np.testing.assert_array_equal(cards.read_mean_image(find_card(weights).mean_file), mean)
    (tmp_path / "sub").mkdir()
    other = tmp_path / "sub" / "other.caffemodel"
    other.write_bytes(b"x")
    write_card(other, find_card(weights))
    assert find_card(other).mean_file == tmp_path / "means" / "m.binaryproto", "elsewhere: by its whole path"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mean: 3", r"my.card.prototxt:1: unknown field 'mean' in Card \(one of: weights, sha1"),
        (
            "\nmean_value: 3",
            "my.card.prototxt:2: unknown field 'mean_value' in Card; it belongs inside transform_param",
        ),
        ("transform_param { crop: 1 }", "did you mean 'crop_size'"),
        ("transform_param { mean_value: x }", "field 'mean_value' takes a number, not x"),
        ("transform_param { mean_value: 1 mean_value: 2 }", "2 mean values; give one for all channels or 3"),
        ("transform_param { mean_value: nan }", "mean values nan: must be those of pixels, 0 to 255"),
        ("transform_param { mean_value: 300 }", "mean values 300: must be those of pixels, 0 to 255"),
        ("transform_param { scale: 0 }", "scale 0 must be a finite number above 0"),
        ("transform_param { scale: nan }", "scale nan must be a finite number above 0"),
        ('transform_param { mean_file: "gone" }', "the mean file .*gone is missing"),
        ('transform_param { mean_file: "grey" }', "the mean file .*grey has 1 channels; patches have 3"),
        ('transform_param { mean_file: "grey" mean_value: 3 }', "both mean_value and mean_file"),
        ('transform_param { mean_file: "my.caffemodel" }', "my.caffemodel"),
        ("transform_param { force_gray: true }", "trained on grey images"),
        ("transform_param { crop_size: 227 } input_size: 224", "crop_size 227 and input_size 224 contradict"),
        ('channels: "RGB"', "channels 'RGB': patches are BGR, .*; swap the input channels of the first layer"),
        ('sha1: "12"', "sha1 '12' is not 40 hexadecimal digits"),
        (f'sha1: "{"a" * 40}"', f"is of weights with sha1 {'a' * 40}, .*my.caffemodel has [0-9a-f]{{40}}; use its own"),
    ],
)
def test_every_mistake_is_one_line(weights, text, message):
    proto.write_mean(weights.with_name("grey"), np.ones((1, 4, 4), np.float32))
    card_path(weights).write_text(text)
    with pytest.raises(UserError, match=message) as error:
        find_card(weights)
    assert "\n" not in str(error.value) and "my.card.prototxt" in str(error.value)


def test_nothing_is_written_that_could_not_be_read(weights):
    for card in (Card((1, 2)), Card(scale=float("inf")), Card(channels="RGB"), Card(mean_file=weights / "x")):
        with pytest.raises(UserError):
            write_card(weights, card)
    assert not card_path(weights).exists()


def test_a_card_may_be_read_without_its_weights(weights):
    path = write_card(weights, Card((1,)))
    weights.write_bytes(b"others")
    assert read_card(path).mean_value == (1,)
    with pytest.raises(UserError, match="is of weights with sha1"):
        read_card(path, weights)
