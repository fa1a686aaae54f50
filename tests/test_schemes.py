import pytest

from pycaffe_ext.errors import UserError
from pycaffe_ext.schemes import BASE_LR, FINE_TUNING, LAYERS, SCHEMES, filler, is_fine_tuning, param_specs

NAMES = "ft-conv1 ft-conv2 ft-conv3 ft-conv4 ft-conv5 ft-fc6 ft-fc7 ft-fc8 scratch scratch-xavier scratch-msra"


def test_the_schemes_are_the_eleven_of_the_commands():
    assert " ".join(SCHEMES) == NAMES
    assert [s for s in SCHEMES if is_fine_tuning(s)] == NAMES.split()[:8]


def test_each_depth_unfreezes_exactly_one_more_layer():
    depths = list(FINE_TUNING)
    for deep, shallow in zip(depths, depths[1:], strict=False):
        a, b = param_specs(deep), param_specs(shallow)
        changed = [name for name in LAYERS if a[name] != b[name]]
        assert changed == [FINE_TUNING[deep]]
        assert b[changed[0]] == ((0, 0), (0, 0)), "what is not tuned has neither rate nor decay"


def test_only_a_new_head_learns_faster():
    for scheme in SCHEMES:
        (weight, _), (bias, _) = param_specs(scheme)["fc8"]
        assert (weight, bias) == ((10, 20) if is_fine_tuning(scheme) else (1, 2))
        assert weight * BASE_LR == pytest.approx(0.01 if is_fine_tuning(scheme) else 0.001)


def test_scratch_schemes_differ_in_their_filler_only():
    assert [filler(s) for s in ("scratch", "scratch-xavier", "scratch-msra")] == [None, "xavier", "msra"]
    assert {filler(s) for s in FINE_TUNING} == {None}, "a new head starts as the net was published"
    assert param_specs("scratch") == param_specs("scratch-xavier") == param_specs("scratch-msra")


@pytest.mark.parametrize("ask", [param_specs, is_fine_tuning, filler])
def test_an_unknown_scheme_is_named_with_the_nearest(ask):
    with pytest.raises(UserError, match=r"unknown scheme 'ft-conv6'; did you mean 'ft-conv5'\?"):
        ask("ft-conv6")
