"""Convolution, Deconvolution and InnerProduct."""

from __future__ import annotations

import itertools

from engine_cases import Case, layer, one


def convolutions() -> list[Case]:
    cases = []
    grid = itertools.product((1, 3), (1, 2), (0, 2), (1, 2), (1, 2))
    for kernel, stride, pad, dilation, group in grid:
        text = (
            f"convolution_param {{ num_output: 4 kernel_size: {kernel} stride: {stride} pad: {pad}"
            f" dilation: {dilation} group: {group} }}"
        )
        cases.append(one("Convolution", text, (2, 4, 9, 8)))
        if stride == 1 or kernel == 3:
            cases.append(one("Deconvolution", text.replace("pad: 2", "pad: 1"), (2, 4, 5, 6)))
    extra = (
        "num_output: 3 kernel_h: 3 kernel_w: 2 stride_h: 2 stride_w: 1 pad_h: 1 pad_w: 0",
        "num_output: 5 kernel_size: 3 kernel_size: 2 pad: 1 pad: 1 bias_term: false",
        "num_output: 2 kernel_size: 11 stride: 4",
    )
    cases += [one("Convolution", f"convolution_param {{ {text} }}", (1, 3, 15, 19)) for text in extra]
    cases += [
        one("Convolution", "convolution_param { num_output: 2 kernel_size: 3 pad: 1 }", shape)
        for shape in ((2, 3, 9), (1, 2, 5, 4, 6))
    ]
    cases.append(one("Convolution", "convolution_param { num_output: 2 kernel_size: 3 axis: 2 }", (2, 3, 4, 5, 6)))
    text = layer("Convolution", "convolution_param { num_output: 2 kernel_size: 3 }", "x z", "y w")
    cases.append(Case("Convolution of two bottoms", {"x": (2, 3, 5, 5), "z": (2, 3, 5, 5)}, text))
    return cases


def inner_products() -> list[Case]:
    settings = (
        "num_output: 5",
        "num_output: 5 transpose: true",
        "num_output: 4 axis: 2",
        "num_output: 3 axis: -1",
        "num_output: 5 bias_term: false",
    )
    shapes = ((2, 3, 4, 2), (1, 3, 4, 2))
    return [
        one("InnerProduct", f"inner_product_param {{ {text} }}", shape)
        for text, shape in itertools.product(settings, shapes)
    ]


def odd_convolutions() -> list[Case]:
    """Kernels and strides that leave a rest, uneven axes, batches of 1, groups of one channel each, three groups."""
    grid = itertools.product(
        (
            "kernel_size: 5 stride: 3 pad: 1",
            "kernel_size: 2 stride: 3 pad: 2 dilation: 3",
            "kernel_h: 5 kernel_w: 1 pad_h: 2 pad_w: 0",
            "kernel_size: 4 stride: 2 pad: 1",
            "kernel_h: 1 kernel_w: 4 stride_h: 3 stride_w: 2 pad_h: 0 pad_w: 3",
        ),
        (1, 3, 6),
        ((1, 6, 11, 7), (3, 6, 8, 13)),
    )
    cases = [
        one("Convolution", f"convolution_param {{ num_output: 6 {text} group: {group} }}", shape)
        for text, group, shape in grid
    ]
    grid = itertools.product(
        (
            "kernel_size: 4 stride: 2 pad: 1",
            "kernel_size: 3 stride: 3 bias_term: false",
            "kernel_h: 2 kernel_w: 5 stride_h: 1 stride_w: 4 pad_h: 0 pad_w: 1",
        ),
        (1, 6),
        ((1, 6, 3, 5), (2, 6, 1, 4)),
    )
    cases += [
        one("Deconvolution", f"convolution_param {{ num_output: 6 {text} group: {group} }}", shape)
        for text, group, shape in grid
    ]
    cases += [
        one("Deconvolution", "convolution_param { num_output: 2 kernel_size: 2 stride: 2 }", shape)
        for shape in ((2, 3, 5), (1, 2, 2, 3, 2))
    ]
    three_axes = (
        "kernel_size: 2 kernel_size: 1 kernel_size: 3 stride: 1 stride: 2 stride: 1 pad: 0 pad: 0 pad: 1",
        "kernel_size: 3 pad: 1 dilation: 2 group: 2",
        "kernel_size: 1",
    )
    cases += [
        one("Convolution", f"convolution_param {{ num_output: 4 {text} }}", (2, 2, 6, 5, 7)) for text in three_axes
    ]
    return cases


def odd_inner_products() -> list[Case]:
    settings = (
        "num_output: 1",
        "num_output: 7 transpose: true bias_term: false",
        "num_output: 3 axis: 2 transpose: true",
        "num_output: 2 axis: 0 bias_term: false",
    )
    cases = [
        one("InnerProduct", f"inner_product_param {{ {text} }}", shape)
        for text, shape in itertools.product(settings, ((1, 2, 3), (5, 3, 1, 2)))
    ]
    cases.append(one("InnerProduct", "inner_product_param { num_output: 3 }", (4, 6)))
    return cases


def interpolations() -> list[Case]:
    """Kernels that the bilinear filler makes: the only filler beside constant that draws nothing."""
    text = "num_output: 2 group: 2 bias_term: false kernel_size: {} weight_filler {{ type: 'bilinear' }}"
    return [
        one("Deconvolution", f"convolution_param {{ {text.format(size)} }}", (1, 2, 3, 3), filled=True)
        for size in (1, 2, 3, 4, 5, 6, 7, 8, 10, 11)
    ]


CASES = [*convolutions(), *odd_convolutions(), *inner_products(), *odd_inner_products(), *interpolations()]
