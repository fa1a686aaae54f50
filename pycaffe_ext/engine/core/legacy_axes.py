"""The four axes that every blob had in old Caffe."""

from __future__ import annotations

from pycaffe_ext.errors import UserError


class LegacyAxes:
    """num, channels, height and width of something with a `shape`; 1 where it has no such axis (facts: Blob).

    Raises UserError where the shape has more than four axes.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        raise NotImplementedError

    @property
    def num(self) -> int:
        return self._legacy(0)

    @property
    def channels(self) -> int:
        return self._legacy(1)

    @property
    def height(self) -> int:
        return self._legacy(2)

    @property
    def width(self) -> int:
        return self._legacy(3)

    def _legacy(self, axis: int) -> int:
        if len(self.shape) > 4:
            raise UserError(f"a blob of shape {self.shape} has no num, channels, height and width; use shape")
        return self.shape[axis] if axis < len(self.shape) else 1
