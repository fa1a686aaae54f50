"""Figures that others have published: pROC's aSAH example, MONAI's FROC and the score of LUNA16.

asah.csv has the 113 patients of Turck et al. (2010, Intensive Care Medicine 36(1), 107-115), the example of pROC (Robin
et al. 2011, BMC Bioinformatics 12, 77): poor = 1 for a poor outcome, two biomarkers and the WFNS grade.  The expected
numbers are those that pROC 1.18 documents and tests.
"""

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

from pycaffe_ext.evaluation import roc


@pytest.fixture(scope="module")
def asah():
    with open(Path(__file__).with_name("asah.csv")) as file:
        table = np.genfromtxt(file, delimiter=",", names=True)
    return table["poor"].astype(int), {name: table[name] for name in ("s100b", "wfns", "ndka")}


def test_areas_and_plain_intervals(asah):
    labels, scores = asah
    assert (labels.size, labels.sum()) == (113, 41)
    found = roc.delong(labels, np.array(list(scores.values())))
    assert found.areas == pytest.approx([0.731368563685637, 0.823678861788618, 0.611957994579946], abs=1e-12)
    assert np.diag(found.covariance) == pytest.approx([0.00266868245717244, 0.00146991470882363, 0.0031908105493913])
    assert found.covariance[0, 1:] == pytest.approx([0.00119615567376754, -0.000756164938056579])
    reach = norm.ppf(0.975) * found.covariance[0, 0] ** 0.5
    assert (found.areas[0] - reach, found.areas[0] + reach) == pytest.approx((0.630118, 0.832619), abs=1e-6)


@pytest.mark.parametrize(
    "first, second, z, p",
    [
        ("wfns", "s100b", 2.20898359144091, 0.0271757822291882),
        ("wfns", "ndka", 2.79777591868904, 0.00514557970691098),
        ("s100b", "ndka", 1.3907700257355771, 0.16429517522305448),
    ],
)
def test_paired_tests(asah, first, second, z, p):
    labels, scores = asah
    found = roc.auc_difference(labels, scores[first], scores[second])
    assert found.p == pytest.approx(p, rel=1e-9)
    error = (found.high - found.value) / norm.ppf(0.975)
    assert found.value / error == pytest.approx(z, rel=1e-9)
    if first == "wfns" and second == "s100b":
        assert (found.low, found.high) == pytest.approx((0.0104061769564846, 0.174214419249478), rel=1e-9)
