"""The embedded donor: its images are repeatable and its file is what the recipe says."""

import numpy as np

from pycaffe_ext import nets
from pycaffe_ext.donor import DONOR, cards, images, recipe
from pycaffe_ext.donor.weights import check_transfer, donor_width
from pycaffe_ext.nets.shapes import parameter_shapes
from pycaffe_ext.proto import read_blobs, write_mean, write_text


def test_there_are_sixty_four_classes_and_each_image_is_a_function_of_its_numbers():
    assert images.CLASSES == 64
    for label in range(0, 64, 7):
        first, again, other = (images.image(label, number, 64) for number in (5, 5, 6))
        assert first.shape == (64, 64, 3) and first.dtype == np.uint8
        assert np.array_equal(first, again) and not np.array_equal(first, other)
        assert first.std() > 5


def test_the_committed_file_fits_every_scheme_and_is_small(tmp_path):
    donor = read_blobs(DONOR)
    assert DONOR.stat().st_size <= 8_000_000
    assert donor_width(donor) == recipe.WIDTH
    for scheme in ("ft-conv1", "ft-fc8"):
        spec = nets.NetSpec(app="polyp", scheme=scheme, classes=2, width=recipe.WIDTH)
        check_transfer(donor, parameter_shapes(nets.train_val(spec)), {"fc8_polyp"})
    assert parameter_shapes(nets.train_val(recipe.net_spec(recipe.Recipe(), tmp_path))) == {
        name: [blob.shape for blob in blobs] for name, blobs in donor.items()
    }


def test_the_donor_knows_its_own_classes(tmp_path):
    """On images that it has never seen, drawn with numbers beyond training and validation."""
    from pycaffe_ext import caffe

    net = nets.deploy(recipe.net_spec(recipe.Recipe(), tmp_path))
    net.layer[0].input_param.shape[0].dim[0] = images.CLASSES
    write_text(tmp_path / "deploy.prototxt", net)
    classifier = caffe.Net(str(tmp_path / "deploy.prototxt"), str(DONOR), caffe.TEST)
    labels = np.arange(images.CLASSES)
    batch = np.stack([images.image(label, 2_000_000, recipe.SIDE) for label in labels]).transpose(0, 3, 1, 2)
    classifier.blobs["data"].data[...] = batch - batch.mean(axis=(0, 2, 3), keepdims=True)
    found = classifier.forward()["prob"].argmax(axis=1)
    assert (found == labels).mean() > 0.8


def test_the_card_says_what_the_donor_was_trained_on():
    card = cards.find_card(DONOR)
    assert (card.arch, card.channels, card.input_size, card.scale) == ("alexnet", "BGR", recipe.SIDE, 1)
    sample = np.stack([images.image(label, number, 32) for label in range(images.CLASSES) for number in range(8)])
    error = sample.mean(axis=(1, 2)).std(axis=0) / np.sqrt(len(sample))  # of 512 of the 16 384 images
    assert (np.abs(sample.mean(axis=(0, 1, 2)) - card.mean_value) < 4 * error).all() and error.max() < 3


def test_installing_a_donor_writes_its_card(tmp_path, monkeypatch):
    trained, installed = tmp_path / "donor_iter_9.caffemodel", tmp_path / "package.caffemodel"
    trained.write_bytes(b"trained")
    mean = np.zeros((3, 4, 4), np.float32) + np.float32([100, 110, 120.567])[:, None, None]
    write_mean(tmp_path / "mean.binaryproto", mean)
    monkeypatch.setattr(recipe, "DONOR", installed)
    recipe.install(trained)
    card = cards.find_card(installed)
    assert card.mean_value == (100, 110, 120.57) and card.weights == "package.caffemodel" and card.licence
