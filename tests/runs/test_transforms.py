"""Which mean and scale a run takes: the user's word before the donor's card, the card before the data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pycaffe_ext.donor.cards import Card
from pycaffe_ext.engine.io.transform import Transformer
from pycaffe_ext.errors import UserError
from pycaffe_ext.proto import caffe_pb2, read_mean, write_mean
from pycaffe_ext.runs import transforms
from pycaffe_ext.runs.settings import Settings, Training
from pycaffe_ext.runs.transforms import Transform, choose
from pycaffe_ext.studies import study

CARD = Card(mean_value=(104, 117, 123), scale=0.5, arch="alexnet")
IMAGE = np.random.default_rng(0).uniform(90, 130, (3, 12, 9)).astype(np.float32)


def chosen(
    card: Card | None = None, side: int = 8, own: float = 1.0, scheme: str = "ft-conv3", **given: object
) -> Transform:
    return choose(Training(scheme, **given), card, "x.card.prototxt", side, own)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("card", "given", "mean", "scale", "about"),
    [
        (CARD, {}, (104, 117, 123), 0.5, "B G R minus 104, 117, 123, times 0.5 (the donor's card, x.card.prototxt)"),
        (CARD, {"mean": "donor"}, (104, 117, 123), 0.5, "times 0.5 (the donor's card, x.card.prototxt)"),
        (
            CARD,
            {"mean": "data"},
            (),
            0.5,
            "minus the mean image of the training patches, times 0.5 (the d",
        ),
        (CARD, {"scale": 2.0}, (104, 117, 123), 2, "123 (the donor's card, x.card.prototxt), times 2 (SCALE=)"),
        (CARD, {"mean": "1,2,3.5"}, (1, 2, 3.5), 0.5, "minus 1, 2, 3.5 (MEAN=), times 0.5 (the donor's card"),
        (CARD, {"mean": "0", "scale": 1.0}, (0,), 1, "minus 0 (MEAN=), times 1 (SCALE=)"),
        (
            Card(scale=0.5),
            {},
            (),
            0.5,
            "minus the mean image of the training patches, times 0.5 (the donor",
        ),
        (None, {}, (), 0.25, "minus the mean image of the training patches, times 0.25"),
        (
            CARD,
            {"scheme": "scratch"},
            (),
            0.25,
            "minus the mean image of the training patches, times 0.25",
        ),
        (CARD, {"scheme": "scratch", "mean": "9"}, (9,), 0.25, "minus 9, times 0.25 (MEAN=)"),
    ],
)
def test_the_users_word_comes_before_the_card_and_the_card_before_the_data(card, given, mean, scale, about):
    found = chosen(card, own=0.25, **given)
    assert (found.mean_value, found.mean_image, found.scale) == (mean, None, scale)
    assert about in found.about and "\n" not in found.about


def test_a_mean_image_is_cropped_as_caffe_crops_it(tmp_path: Path) -> None:
    """What Caffe's transformer subtracts from a centre crop of stored images of the mean's own size."""
    write_mean(tmp_path / "m", IMAGE)
    found = chosen(mean=str(tmp_path / "m"))
    param = caffe_pb2.TransformationParameter(mean_file=str(tmp_path / "m"), crop_size=8)
    stored = np.random.default_rng(1).integers(0, 256, IMAGE.shape).astype(np.uint8)
    caffes, wanted = Transformer(param, caffe_pb2.TEST, np.random.default_rng()), np.empty((3, 8, 8), np.float32)
    caffes.apply(stored, caffes.draw(1, stored.shape)[0], wanted)
    crop = stored[:, 2:10, 0:8].astype(np.float32)
    np.testing.assert_array_equal(crop - found.mean_image, wanted)
    assert found.about.startswith(f"B G R minus the middle 8x8 of the mean image {tmp_path / 'm'}, times 1")
    found.write(tmp_path / "run")
    np.testing.assert_array_equal(read_mean(found.mean_file(tmp_path / "run", tmp_path / "data")), found.mean_image)
    assert found.record()["mean"] == "mean.binaryproto"


def test_a_cards_mean_image_smaller_than_the_patches_is_reduced_to_its_channels_means(tmp_path: Path) -> None:
    write_mean(tmp_path / "m", IMAGE)
    found = chosen(Card(mean_file=tmp_path / "m"), side=10)
    np.testing.assert_allclose(found.mean_value, IMAGE.mean(axis=(1, 2)), rtol=1e-6)
    assert found.mean_image is None and "which is smaller than the patches" in found.about


def test_whole_regions_have_the_means_of_the_channels(tmp_path: Path) -> None:
    write_mean(tmp_path / "data", IMAGE)
    found = transforms.by_channel(chosen(), tmp_path / "data")
    np.testing.assert_allclose(found.mean_value, IMAGE.mean(axis=(1, 2)), rtol=1e-6)
    assert found.mean_file(tmp_path, tmp_path / "data") is None and found.record()["of_data"]
    assert "the mean image of the training patches, times 1; with DENSE=1 the means of its channels, " in found.about

    write_mean(tmp_path / "m", IMAGE)
    found = transforms.by_channel(chosen(mean=str(tmp_path / "m")), tmp_path / "none")
    np.testing.assert_allclose(found.mean_value, IMAGE[:, 2:10, 0:8].mean(axis=(1, 2)), rtol=1e-6)
    assert not found.record()["of_data"]
    assert transforms.by_channel(values := chosen(CARD), tmp_path / "none") is values


def test_files_and_records_say_which_mean_it_is() -> None:
    run, data = Path("run"), Path("data/mean.binaryproto")
    for transform, file, record in (
        (Transform(1, "", of_data=True), data, "data"),
        (Transform(1, "", (1, 2, 3)), None, [1, 2, 3]),
        (Transform(1, "", (), IMAGE), run / "mean.binaryproto", "mean.binaryproto"),
    ):
        assert transform.mean_file(run, data) == file and transform.record()["mean"] == record


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: chosen(mean="donor"), "MEAN=donor: the donor has no card .*; give MEAN=B,G,R"),
        (lambda: chosen(Card(), mean="donor"), "MEAN=donor: the card x.card.prototxt names no mean"),
        (
            lambda: chosen(mean="doner"),
            "MEAN=doner: no such file; allowed are donor, data, B,G,R and a mean.binaryproto",
        ),
        (
            lambda: chosen(Card(arch="caffenet")),
            r"x.card.prototxt\) says ARCH=caffenet, not alexnet; check ARCH",
        ),
        (lambda: Training("ft-conv3", mean="1,2"), "MEAN=: 2 mean values; give one for all channels or 3"),
        (lambda: Training("ft-conv3", mean="1,2,nan"), "MEAN=: mean values 1, 2, nan: must be those of pixels"),
        (lambda: Training("ft-conv3", scale=0.0), "SCALE=: scale 0 must be a finite number above 0"),
        (lambda: Training("ft-conv3", scale=float("nan")), "SCALE=: scale nan must be"),
        (lambda: Training("scratch", mean="donor"), "MEAN=donor: scratch has no donor; give data, B,G,R or"),
        (lambda: Training("scratch", fresh="fc6"), "FRESH= is for a fine-tuning; in scratch every layer starts"),
    ],
)
def test_mistakes_are_one_line(call, message):
    with pytest.raises(UserError, match=message) as error:
        call()
    assert "\n" not in str(error.value)


def test_mean_scale_and_fresh_are_of_the_training_so_that_packed_data_are_shared():
    plain, other = (
        Settings.of("polyp", "ft-conv3"),
        Settings.of("polyp", "ft-conv3", mean="data", scale=2.0, fresh="a b"),
    )
    assert plain.request == other.request and plain.name() != other.name()
    assert Settings.from_record(other.record()) == other
    assert Settings.of("polyp", "ft-conv3", fresh="a,  b") == Settings.of("polyp", "ft-conv3", fresh="a b")
    record = other.record()
    for name in ("mean", "scale", "fresh"):
        del record["training"][name]
    assert Settings.from_record(record) == plain, "a run of an older version"


def test_in_a_study_what_is_about_the_donor_goes_to_fine_tunings_of_its_net():
    given = {"arch": "squeezenet", "weights": "a.caffemodel", "mean": "donor", "fresh": "fire9/*", "scale": 0.1}
    tuned, other, scratch = study.jobs("polyp", ("ft-fire5", "alexnet:ft-fc8", "alexnet:scratch"), (0,), **given)
    assert (tuned.training.mean, tuned.training.fresh) == ("donor", "fire9/*")
    assert (other.training.mean, other.training.fresh) == ("donor", None)
    assert (scratch.training.mean, scratch.training.fresh, scratch.training.scale) == (None, None, 0.1)
    with pytest.raises(UserError, match="MEAN=donor: scratch has no donor"):
        study.jobs("polyp", ("scratch",), (0,), mean="donor")


def test_a_user_is_shown_how_to_write_a_card():
    text = transforms.without_card("my/net.caffemodel")
    assert (
        "write my/net.card.prototxt: make card WEIGHTS=my/net.caffemodel MEAN=B,G,R SCALE=s" in text
        and "\n" not in text
    )
