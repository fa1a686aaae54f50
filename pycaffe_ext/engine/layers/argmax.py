"""ArgMax: the positions of the largest values."""

from __future__ import annotations

from pycaffe_ext.engine.core.blob import Blob
from pycaffe_ext.engine.layers.base import Layer, register


@register("ArgMax")
class ArgMax(Layer):
    """Positions of the top_k largest values of each item (or along `axis`), best first, perhaps with the values."""

    exact_bottoms = exact_tops = 1

    def setup(self, bottom: list[Blob], top: list[Blob]) -> None:
        param = self.param.argmax_param
        self._axis = self.axis(param.axis, bottom[0]) if param.HasField("axis") else None
        size = bottom[0].count // bottom[0].shape[0] if self._axis is None else bottom[0].shape[self._axis]
        self.check(1 <= param.top_k <= size, f"top_k {param.top_k} is not in 1..{size}")

    def reshape(self, bottom: list[Blob], top: list[Blob]) -> None:
        param, shape = self.param.argmax_param, list(bottom[0].shape)
        if self._axis is not None:
            shape[self._axis] = param.top_k
        else:
            axes = max(3, len(shape))
            shape = [shape[0], 2 if param.out_max_val else 1, param.top_k, *[1] * (axes - 3)]
        top[0].reshape(shape)

    def forward(self, bottom: list[Blob], top: list[Blob]) -> None:
        param, x = self.param.argmax_param, bottom[0].data
        if self._axis is not None:
            values, places = x.topk(param.top_k, self._axis)
            top[0].data = values if param.out_max_val else places.float()
            return
        values, places = x.reshape(x.shape[0], 1, -1).topk(param.top_k)
        top[0].data[:, :1] = places.float().view(top[0].data[:, :1].shape)
        if param.out_max_val:
            top[0].data[:, 1:] = values.view(top[0].data[:, 1:].shape)
