"""The warnings of a donor that is not in the scale of its input: from its weights, first patches and first epoch."""

import json
from fractions import Fraction
from pathlib import Path

import lmdb
import numpy as np
import pytest
from programs import run_tool
from training_lab import SMALL

from pycaffe_ext import caffe, nets, proto
from pycaffe_ext.donor import DONOR, cards
from pycaffe_ext.errors import UserError
from pycaffe_ext.proto import read_blobs, read_weights, write_weights
from pycaffe_ext.records.datum import to_bytes
from pycaffe_ext.runs import donor_checks
from pycaffe_ext.runs.donor_checks import Checked
from pycaffe_ext.training.command import Caffe

SHARED = Path(__file__).parents[3] / "shared"
STD = 57.63
HEAD = "fc8_donor"  # of the embedded donor


class InProcess:
    """A caffe whose `test` runs the net in this process and logs as Caffe does."""

    def __init__(self, cut=None):
        self.cut, self.nets = cut, []

    def test(self, model, weights, iterations):
        assert iterations == 1
        self.nets.append(proto.read_net(model))
        net = caffe.Net(str(model), str(weights), caffe.TEST)
        for name, blob in net.forward().items():
            for value in blob.ravel()[: self.cut]:
                yield f"I1126 08:00:00.000000 1 caffe.cpp:304] Batch 0, {name} = {value:g}"


def database(folder, side):
    """An LMDB of smooth pictures in colours, and their mean."""
    rng = np.random.default_rng(3)
    coarse = rng.integers(0, 256, (donor_checks.PATCHES, 3, 4, 4)).astype(np.float32)
    grown = np.kron(coarse, np.ones((1, 1, side // 4 + 1, side // 4 + 1)))[..., :side, :side].astype(np.uint8)
    with lmdb.open(str(folder / "lmdb"), map_size=1 << 26) as env, env.begin(write=True) as table:
        for i, pixels in enumerate(grown):
            table.put(b"%08d" % i, to_bytes(pixels, i % 2))
    proto.write_mean(folder / "mean.binaryproto", grown.mean(axis=0, dtype=np.float32))
    return folder / "lmdb"


def checked(folder, file=DONOR, arch="alexnet", width=Fraction(1, 8), **changes):
    scaled = {"scale": cards.find_card(DONOR).scale} if arch == "alexnet" else {}
    made = nets.NetSpec(
        "polyp", "ft-conv1", 2, width=width, arch=arch, mean_file=str(folder / "mean.binaryproto"), **(scaled | changes)
    )
    return Checked(file, read_blobs(file), made)


def folded(folder):
    """The embedded donor with a standard deviation folded into conv1, which has no groups."""
    net = read_weights(DONOR)
    (conv1,) = (layer for layer in net.layer if layer.name == "conv1")
    values = proto.blob_to_array(conv1.blobs[0]) / STD
    conv1.blobs[0].CopyFrom(proto.array_to_blob(values.astype(np.float32)))
    write_weights(folder / "folded.caffemodel", net)
    return folder / "folded.caffemodel"


def warnings_of(donor, folder, run=None):
    caffe_command = run or InProcess()
    return donor_checks.before_training(caffe_command, donor, folder / "lmdb", folder)


def test_the_donors_own_classifier_looks_at_the_first_patches(tmp_path):
    database(tmp_path, 227)
    run = InProcess()
    assert warnings_of(checked(tmp_path), tmp_path, run) == []
    (net,) = run.nets
    assert net.layer[0].data_param.source == str(tmp_path / "lmdb") and net.layer[-1].name == HEAD
    assert net.layer[-1].inner_product_param.num_output == read_blobs(DONOR)[HEAD][1].size
    assert not (tmp_path / donor_checks.FOLDER).exists()


def test_a_folded_donor_is_named_with_its_layer(tmp_path):
    database(tmp_path, 227)
    found = warnings_of(checked(tmp_path, folded(tmp_path)), tmp_path)
    assert found and found[0].startswith("donor folded.caffemodel: the weights of conv1 are 55.4 times smaller")
    assert all("\n" not in text for text in found)


@pytest.mark.parametrize(
    ("name", "scale", "words"),
    [
        ("squeezenet_v1.1_caffe", 1.0, []),
        ("squeezenet_v1.1_caffe", STD, ["many times too large"]),
        ("squeezenet_v1.1_caffe", 1 / STD, ["many times too small"]),
        ("squeezenet_v1.1_imagenet", 1.0, ["the weights of conv1 are 42.3 times smaller"]),
    ],
)
def test_real_donors(tmp_path, name, scale, words):
    file = SHARED / "weights" / f"{name}.caffemodel"
    if not file.exists():
        pytest.skip(f"{file} is not there")
    database(tmp_path, 227)
    found = warnings_of(checked(tmp_path, file, "squeezenet", Fraction(1), scale=scale), tmp_path)
    assert len(found) == len(words) and all(word in text for word, text in zip(words, found, strict=True))


def test_a_donor_without_its_classifier_or_untrained_is_not_asked(tmp_path):
    donor = checked(tmp_path)
    bare = {name: blobs for name, blobs in donor.blobs.items() if name != HEAD}
    constant = {name: [blobs[0], np.full_like(blobs[1], 0.1)] for name, blobs in donor.blobs.items()}
    other = {**donor.blobs, HEAD: [np.ones((7, 3)), np.ones(7)]}  # of another net
    for blobs in (bare, constant, other):
        run = InProcess()
        assert warnings_of(Checked(DONOR, blobs, donor.spec), tmp_path, run) == [] and run.nets == []


def test_what_a_caffe_leaves_out_is_an_error_and_nothing_stays(tmp_path):
    database(tmp_path, 227)
    with pytest.raises(UserError, match=r"caffe test gave 5 of 1136 values"):
        warnings_of(checked(tmp_path), tmp_path, InProcess(cut=5))
    assert not (tmp_path / donor_checks.FOLDER).exists()


def test_the_first_snapshot_is_compared_with_the_donor(tmp_path):
    donor = checked(tmp_path)
    net = read_weights(DONOR)
    write_weights(tmp_path / "same.caffemodel", net)
    assert donor_checks.after_the_first_epoch(donor, tmp_path / "same.caffemodel") == []
    for layer in net.layer:
        factor = {"conv2": 1.5, HEAD: 9.0}.get(layer.name, 1.001)
        if layer.blobs:
            values = proto.blob_to_array(layer.blobs[0]) * factor
            layer.blobs[0].CopyFrom(proto.array_to_blob(values.astype(np.float32)))
    write_weights(tmp_path / "moved.caffemodel", net)
    (found,) = donor_checks.after_the_first_epoch(donor, tmp_path / "moved.caffemodel")
    assert found.startswith(f"donor {DONOR.name}: the first epoch moved the weights of conv2 by 50 % of their norm")
    assert "(the other layers: 0.1 %)" in found
    start = tmp_path / "moved.caffemodel"  # a later link of a chain begins where the one before ended
    assert donor_checks.after_the_first_epoch(donor, tmp_path / "moved.caffemodel", start) == []


@pytest.mark.genuine
def test_the_genuine_caffe_is_asked_by_the_same_net(tmp_path):
    from pycaffe_ext.genuine import root

    database(tmp_path, 227)
    genuine = Caffe.from_setting(str(root.command("caffe")))
    assert warnings_of(checked(tmp_path), tmp_path, genuine) == []
    (found,) = warnings_of(checked(tmp_path, folded(tmp_path)), tmp_path, genuine)[:1]
    assert "the weights of conv1 are" in found


@pytest.mark.slow
def test_a_run_says_and_records_it(miniature, tmp_path):
    order = ("polyp-ft-conv1", "--data", miniature, "--epochs", "1", *SMALL, "--run", "r")
    done = run_tool("train_and_test", *order, "--weights", folded(tmp_path), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    record, result = (json.loads((tmp_path / "runs" / "r" / f"{name}.json").read_text()) for name in ("run", "result"))
    assert record["warnings"] == result["warnings"] and len(record["warnings"]) >= 1
    for text in record["warnings"]:
        assert done.stdout.count(f"warning: {text}") == 2  # when it is found, and in the summary
    assert "the weights of conv1 are 55.4 times smaller" in record["warnings"][0]
    assert any("the first epoch moved the weights of conv1" in text for text in record["warnings"])
