import pytest

from pycaffe_ext.errors import UserError
from pycaffe_ext.schemes import (
    BASE_LR,
    FINE_TUNING,
    LAYERS,
    SCHEMES,
    STAGES,
    beginning,
    chains,
    check,
    depths,
    filler,
    frozen_stages,
    is_fine_tuning,
    links,
    param_specs,
    places,
    schemes,
)

NAMES = "ft-conv1 ft-conv2 ft-conv3 ft-conv4 ft-conv5 ft-fc6 ft-fc7 ft-fc8 scratch scratch-xavier scratch-msra"


def test_the_paper_has_eleven_schemes_of_one_training_each():
    assert " ".join(SCHEMES) == NAMES
    assert [s for s in SCHEMES if is_fine_tuning(s)] == NAMES.split()[:8]
    assert all(links(s) == (s,) and places(s) == (".",) for s in SCHEMES)


def test_each_depth_unfreezes_exactly_one_more_layer():
    depths = list(FINE_TUNING)
    for deep, shallow in zip(depths, depths[1:], strict=False):
        a, b = param_specs(deep), param_specs(shallow)
        changed = [name for name in LAYERS if a[name] != b[name]]
        assert changed == [FINE_TUNING[deep]]
        assert b[changed[0]] == ((0, 0), (0, 0)), "what is not tuned has neither rate nor decay"


def test_frozen_stages_are_those_below_the_shallowest_that_learns_in_the_first_training():
    assert [frozen_stages(scheme) for scheme in FINE_TUNING] == list(range(8))
    assert {frozen_stages(scheme) for scheme in SCHEMES if not is_fine_tuning(scheme)} == {0}
    assert frozen_stages("lp-ft") == frozen_stages("gradual") == 7, "they begin with the last stage"
    assert frozen_stages("ft-conv10", "squeezenet") == 9 and frozen_stages("ft-conv1", "squeezenet") == 0


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


@pytest.mark.parametrize("arch", STAGES)
def test_gradual_unfreezing_adds_one_stage_a_link_and_lp_ft_has_two(arch):
    each = links("gradual", arch)
    assert each == depths(arch) and links("lp-ft", arch) == (each[0], each[-1])
    learning = [sum(spec != ((0, 0), (0, 0)) for spec in param_specs(link, arch).values()) for link in each]
    assert learning == list(range(1, len(STAGES[arch]) + 1))
    assert {"gradual", "lp-ft"} < set(schemes(arch)) and all(is_fine_tuning(one, arch) for one in chains(arch))
    assert len(set(places("gradual", arch))) == len(each)


@pytest.mark.parametrize("arch", STAGES)
def test_the_beginning_of_a_chain_is_the_scheme_that_has_its_first_links(arch):
    for scheme in chains(arch):
        for count in range(1, len(links(scheme, arch)) + 1):
            assert links(beginning(scheme, count, arch), arch) == links(scheme, arch)[:count]
    assert beginning("gradual", 3) == "gradual-fc6" and beginning("lp-ft", 1) == "ft-fc8"


def test_gradual_as_far_as_a_stage_is_known_and_a_wrong_stage_is_not():
    assert check("gradual-fc7") == "gradual-fc7"
    for wrong in ("gradual-fc8", "gradual-conv1", "gradual-fc9"):  # those are ft-fc8 and gradual; there is no fc9
        with pytest.raises(UserError, match="unknown scheme"):
            check(wrong)
    with pytest.raises(
        UserError, match="alexnet has no scheme gradual-fire5, ARCH=squeezenet or squeezenet_centre has"
    ):
        check("gradual-fire5")
