"""The donor's second lesson, in miniature: views, targets and nets."""

import numpy as np
import pytest

from pycaffe_ext import caffe, nets
from pycaffe_ext.donor import DONOR, teaching, views
from pycaffe_ext.donor.cards import find_card
from pycaffe_ext.donor.weights import check_transfer
from pycaffe_ext.errors import UserError
from pycaffe_ext.nets.shapes import parameter_shapes
from pycaffe_ext.proto import caffe_pb2, read_blobs, read_mean, write_text
from pycaffe_ext.runs.settings import LARGEST_SEED


def test_views_are_repeatable_lit_and_of_no_runs_seed():
    assert views.SEED > LARGEST_SEED
    first, again = views.of_video(0, 48), views.of_video(0, 48)
    assert len(first) == views.FRAMES * views.PLACES
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert all(view.shape == (48, 48, 3) and view.dtype == np.uint8 and view.max() > views.DARK for view in first)
    assert not np.array_equal(first[0], first[1])


def test_components_keep_what_varies_together_and_soften_their_sizes():
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(500, 2)) * [3, 1]
    features = np.hstack([hidden[:, :1] + 0.01 * rng.normal(size=(500, 6)), hidden[:, 1:], np.full((500, 1), 7.0)])
    found = teaching.components(features)
    assert found.dtype == np.float32 and len(found) == 500 and np.isfinite(found).all()
    assert abs(np.corrcoef(found[:, 0], hidden[:, 0])[0, 1]) > 0.99
    assert abs(np.corrcoef(found[:, 1], hidden[:, 1])[0, 1]) > 0.99
    assert found[:, 0].std() / found[:, 1].std() == pytest.approx(6**0.25, rel=0.05), "the root of sqrt(6)"


def test_a_lesson_teaches_what_the_teacher_sees_and_the_result_is_a_donor(tmp_path):
    """A teacher of random weights, 60 pictures: the loss falls, and the caffemodel fits a net of the donor's width."""
    lesson = teaching.Lesson(videos=1, procedural=40, batch_size=20, epochs=8)
    published = nets.NetSpec(app="imagenet", scheme="scratch", classes=2, arch="squeezenet")
    write_text(tmp_path / "published.prototxt", nets.deploy(published))
    caffe.Net(str(tmp_path / "published.prototxt"), caffe.TEST).save(str(tmp_path / "teacher.caffemodel"))
    trained = teaching.teach(lesson, DONOR, tmp_path / "teacher.caffemodel", tmp_path)
    blobs, card = read_blobs(trained), find_card(trained)
    np.testing.assert_allclose(card.mean_value, read_mean(tmp_path / "mean.binaryproto").mean(axis=(1, 2)), atol=0.01)
    assert "SqueezeNet" in card.source
    net = nets.train_val(nets.NetSpec(app="polyp", scheme="ft-conv3", classes=2, width=teaching.WIDTH))
    check_transfer(blobs, parameter_shapes(net), {"fc8_polyp"})
    assert _loss(lesson, tmp_path, trained) < 0.8 * _loss(lesson, tmp_path, DONOR)


def _loss(lesson, folder, weights):
    net = teaching.student_net(lesson, folder)
    for layer in net.layer[:2]:
        layer.include[0].phase = caffe_pb2.TEST
    write_text(folder / "measured.prototxt", net)
    return float(caffe.Net(str(folder / "measured.prototxt"), caffe.TEST, weights=str(weights)).forward()["loss"])


def test_pictures_that_do_not_fill_the_teachers_batches_are_refused(tmp_path):
    with pytest.raises(UserError, match="multiple of 20"):
        teaching.teach(teaching.Lesson(videos=1, procedural=3), DONOR, DONOR, tmp_path)


def test_a_teacher_that_is_no_squeezenet_is_refused(tmp_path):
    with pytest.raises(UserError, match="does not fit"):
        teaching.teach(teaching.Lesson(), DONOR, DONOR, tmp_path)
    assert not list(tmp_path.iterdir())
