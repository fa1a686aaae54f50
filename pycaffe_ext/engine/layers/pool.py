"""Pooling: the largest or the mean value of each window, with Caffe's own rounding and clipping."""

from __future__ import annotations

from functools import reduce

import torch
from torch.nn.functional import avg_pool2d, pad

from pycaffe_ext.engine.core.blob import Blob
from pycaffe_ext.engine.layers.base import Layer
from pycaffe_ext.engine.parallel import for_each_item
from pycaffe_ext.proto import caffe_pb2
from pycaffe_ext.windows import pooled_size

POOL = caffe_pb2.PoolingParameter
aten = torch.ops.aten
LOWEST = torch.finfo(torch.float32).min
SMALL = 9  # windows of up to this many values are faster slice by slice than in torch's own pooling, on a CPU


def taps(x: torch.Tensor, axis: int, kernel: int, stride: int, windows: int) -> list[torch.Tensor]:
    """For each place in a window, the values that lie there in all windows along `axis` (2 or 3)."""
    reach = (windows - 1) * stride + 1
    return [x.narrow(axis, i, reach)[(slice(None),) * axis + (slice(None, None, stride),)] for i in range(kernel)]


class Pooling(Layer):
    """MAX (a second top gives the position h * width + w of each maximum) or AVE; stochastic_pool has the third."""

    exact_bottoms = min_tops = 1
    max_tops = 2

    def setup(self, bottom: list[Blob], top: list[Blob]) -> None:
        param = self.param.pooling_param
        self.reads_bottoms = param.pool == POOL.MAX
        self.check(len(top) == 1 or param.pool == POOL.MAX, "only MAX has a second top")
        self._kernel, self._stride, self._pad = self._pair("kernel"), self._pair("stride"), self._pair("pad")
        if param.global_pooling:
            self.check(self._kernel == (0, 0), "global_pooling takes no kernel size")
            self.check(self._stride == (1, 1) and self._pad == (0, 0), "global_pooling takes stride 1 and pad 0 only")
        else:
            self.check(min(self._kernel) > 0, "kernel_size, or kernel_h and kernel_w, must be given and positive")
            self.check(min(self._stride) > 0, f"stride {self._stride} must be positive")
            self.check(
                all(p < k for p, k in zip(self._pad, self._kernel, strict=True)),
                f"pad {self._pad} must be smaller than the kernel {self._kernel}",
            )

    def _pair(self, name: str) -> tuple[int, int]:
        param, both = self.param.pooling_param, "kernel_size" if name == "kernel" else name
        given = [param.HasField(field) for field in (f"{name}_h", f"{name}_w", both)]
        self.check(
            given in ([True, True, False], [False, False, given[2]]),
            f"give either {both} or both {name}_h and {name}_w",
        )
        return (getattr(param, f"{name}_h"), getattr(param, f"{name}_w")) if given[0] else (getattr(param, both),) * 2

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        shape = bottom[0].shape
        self.check(len(shape) == 4, f"bottom must have 4 axes (N, C, H, W), not shape {shape}")
        param = self.param.pooling_param
        if param.global_pooling:
            self._kernel = (shape[2], shape[3])
        floor = param.round_mode == POOL.FLOOR
        self._out = pooled_size(shape[2:], self._kernel, self._stride, self._pad, floor=floor)
        self.check(min(self._out) > 0, f"kernel {self._kernel} is larger than the bottom of shape {shape}")
        # how far the windows reach beyond the image, at each side: left, right, top, bottom
        reach = [
            (n - 1) * s + k - size - p
            for n, s, k, size, p in zip(self._out, self._stride, self._kernel, shape[2:], self._pad, strict=True)
        ]
        self._margins = (self._pad[1], reach[1], self._pad[0], reach[0])
        for blob in top:
            blob.reshape((*shape[:2], *self._out))

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        if self.param.pooling_param.pool == POOL.AVE:
            top[0].data = avg_pool2d(self._padded(bottom[0].data, 0), self._kernel, self._stride, divisor_override=1)
            top[0].data *= self._scale(bottom[0])
        elif self._by_slices(top):
            top[0].data = self._max_by_slices(self._padded(bottom[0].data, LOWEST), top[0].shape)
        else:
            self._forward_max(bottom[0], top)

    def backward(self, top: list[Blob], propagate_down: list[bool], bottom: list[Blob]) -> None:
        if not propagate_down[0]:
            return
        if self._by_slices(top):
            bottom[0].diff = self._backward_by_items(bottom[0].data, top[0].diff)
            return
        size = list(bottom[0].shape)
        size[2] += self._margins[2] + self._margins[3]
        size[3] += self._margins[0] + self._margins[1]
        like = top[0].diff.new_empty(size)
        if self.param.pooling_param.pool == POOL.MAX:
            padded = self._max_backward(top[0].diff, like, self._indices)
        else:
            scaled = top[0].diff * self._scale(bottom[0])
            padded = aten.avg_pool2d_backward(scaled, like, self._kernel, self._stride, (0, 0), False, True, 1)
        bottom[0].diff = self._cropped(padded)

    def _max_backward(self, above: torch.Tensor, like: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
        settings = self._kernel, self._stride, (0, 0), (1, 1), False
        return aten.max_pool2d_with_indices_backward(above, like, *settings, indices)

    def _backward_by_items(self, x: torch.Tensor, above: torch.Tensor) -> torch.Tensor:
        """The gradient, each item's maxima being looked up only now: nothing large is kept from the forward pass."""
        out = torch.empty_like(x)

        def work(part: slice) -> None:
            padded = self._padded(x[part], LOWEST)
            out[part] = self._cropped(self._max_backward(above[part], padded, self._find_indices(padded)))

        for_each_item(work, x.shape[0], self.device)
        return out

    def _by_slices(self, top: list[Blob]) -> bool:
        small = self._kernel[0] * self._kernel[1] <= SMALL
        return small and self.device.type == "cpu" and len(top) == 1 and self.param.pooling_param.pool == POOL.MAX

    def _rows(self, x: torch.Tensor) -> list[torch.Tensor]:
        return taps(x, 2, self._kernel[0], self._stride[0], self._out[0])

    def _columns(self, x: torch.Tensor) -> list[torch.Tensor]:
        return taps(x, 3, self._kernel[1], self._stride[1], self._out[1])

    def _max_by_slices(self, x: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
        out = x.new_empty(shape)

        def work(part: slice) -> None:
            rows = reduce(torch.maximum, self._rows(x[part]))
            out[part] = reduce(torch.maximum, self._columns(rows))

        for_each_item(work, shape[0], self.device)
        return out

    def _find_indices(self, x: torch.Tensor) -> torch.Tensor:
        """Where each maximum lies, found with the channels last in memory: torch is several times faster there."""
        last = x.contiguous(memory_format=torch.channels_last)
        return aten.max_pool2d_with_indices(last, self._kernel, self._stride)[1].contiguous()

    def _padded(self, x: torch.Tensor, value: float) -> torch.Tensor:
        return pad(x, self._margins, value=value) if any(self._margins) else x

    def _cropped(self, padded: torch.Tensor) -> torch.Tensor:
        return pad(padded, [-n for n in self._margins]) if any(self._margins) else padded

    def _forward_max(self, bottom: Blob, top: list[Blob]) -> None:
        x = self._padded(bottom.data, LOWEST)
        top[0].data, self._indices = aten.max_pool2d_with_indices(x, self._kernel, self._stride)
        if len(top) > 1:
            rows, columns = self._indices // x.shape[3] - self._margins[2], self._indices % x.shape[3]
            top[1].data = (rows * bottom.shape[3] + columns - self._margins[0]).float()

    def _scale(self, bottom: Blob) -> torch.Tensor:
        """(rows, columns): 1 / size of each window, clipped to the padded image."""
        parts = []
        for i in range(2):
            start = torch.arange(self._out[i], device=self.device) * self._stride[i] - self._pad[i]
            end = (start + self._kernel[i]).clamp(max=bottom.shape[2 + i] + self._pad[i])
            parts.append((end - start).float())
        return 1 / torch.outer(*parts)
