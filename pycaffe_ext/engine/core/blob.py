"""A blob: values, and the gradient of the loss with respect to them."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch


class Product:
    """A gradient a @ b + c that has not been computed yet: what an inner product's large weights get."""

    def __init__(self, a: torch.Tensor, b: torch.Tensor) -> None:
        self.a, self.b = a, b
        self._terms: list[tuple[torch.Tensor, float]] = []

    def add_(self, other: torch.Tensor, alpha: float = 1) -> None:
        """Add alpha * other, which must not change before the gradient is used."""
        self._terms.append((other, alpha))

    def add_to(self, target: torch.Tensor, beta: float, alpha: float) -> None:
        """target <- beta target + alpha (this gradient)."""
        target.addmm_(self.a, self.b, beta=beta, alpha=alpha)
        for other, factor in self._terms:
            target.add_(other, alpha=alpha * factor)


class Values:
    """What a blob's `data` is bound to; several blobs may have one together (see engine.core.overwriting)."""

    __slots__ = ("tensor",)

    def __init__(self) -> None:
        self.tensor: torch.Tensor | None = None


class Blob:
    """A float32 tensor and its gradient, both allocated (zero) when first touched.

    Layers may bind a new tensor to `data` or `diff` instead of copying into the old one, so hold the blob,
    never its tensors.  A cleared gradient costs nothing until it is read.
    """

    def __init__(self, shape: Iterable[int] = (), device: torch.device | str = "cpu") -> None:
        self._shape = tuple(map(int, shape))
        self.device = device if isinstance(device, torch.device) else torch.device(device)
        self._values = Values()
        self._diff: torch.Tensor | None = None
        self._cleared = False
        self.defers_products = False
        self._product: Product | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        return self._shape

    @property
    def count(self) -> int:
        return math.prod(self._shape)

    def reshape(self, shape: Iterable[int]) -> None:
        """Take another shape; the values stay as long as their number does, else they become zero."""
        shape = tuple(map(int, shape))
        if shape == self._shape:
            return
        same = math.prod(shape) == self.count
        self._shape = shape
        if not same:
            self._values = Values()
        self._diff = self._diff.reshape(shape) if same and self._diff is not None else None

    @property
    def values(self) -> Values:
        """Blobs with the same `values` share their data: what is written or bound to one's, the other has too."""
        return self._values

    def share_data(self, other: Blob) -> None:
        """Have the other blob's values, in this blob's shape, until either takes a shape of another size."""
        self._values = other.values

    @property
    def holds_data(self) -> bool:
        """Whether there is memory for the values."""
        return self._values.tensor is not None

    @property
    def data(self) -> torch.Tensor:
        tensor = self._values.tensor
        if tensor is None:
            tensor = self._values.tensor = torch.zeros(self._shape, device=self.device)
        return tensor if tensor.shape == self._shape else tensor.view(self._shape)

    @data.setter
    def data(self, value: torch.Tensor) -> None:
        if value.shape != self._shape:
            self.reshape(value.shape)
        self._values.tensor = value

    @property
    def diff(self) -> torch.Tensor:
        if self._product is not None:
            product, self._product = self._product, None
            self._write_product(product.a, product.b)
        if self._diff is None:
            self._diff = torch.zeros(self._shape, device=self.device)
        elif self._cleared:
            self._diff.zero_()
        self._cleared = False
        return self._diff

    @diff.setter
    def diff(self, value: torch.Tensor) -> None:
        self._diff = value
        self._cleared, self._product = False, None

    @property
    def has_gradient(self) -> bool:
        """Whether a gradient was written since it was last cleared."""
        return self._product is not None or (self._diff is not None and not self._cleared)

    def clear_diff(self) -> None:
        """Make the gradient zero; the memory is written only if it is read before the next gradient."""
        self._cleared, self._product = self._diff is not None, None

    def release(self) -> None:
        """Give up values and gradient; the shape stays, both read as zero until a layer writes them again.

        Blobs that share the values keep them.
        """
        self._values = Values()
        self.release_diff()

    def release_diff(self) -> None:
        """Give up the gradient's memory; it reads as zero."""
        self._diff = self._product = None

    def accumulate(self, gradient: torch.Tensor) -> None:
        """Add to the gradient; `gradient` may be kept and written to afterwards."""
        gradient = gradient.reshape(self._shape)
        if self.has_gradient:
            self.diff.add_(gradient)
        else:
            self.diff = gradient

    def accumulate_product(self, a: torch.Tensor, b: torch.Tensor) -> None:
        """Add the matrix product a @ b to the gradient of a two-dimensional blob, in the memory it already has.

        With `defers_products` the factors are kept until the gradient is read, so they must not change before.
        """
        if self.has_gradient:
            self.diff.addmm_(a, b)
            return
        if self.defers_products:
            self._product = Product(a, b)
            return
        self._write_product(a, b)

    def _write_product(self, a: torch.Tensor, b: torch.Tensor) -> None:
        if self._diff is None:
            self._diff = torch.empty(self._shape, device=self.device)
        torch.mm(a, b, out=self._diff)
        self._cleared = False

    def take_gradient(self) -> torch.Tensor | Product:
        """The gradient for an update that may overwrite it: as a product where it was deferred as one."""
        product, self._product = self._product, None
        return self.diff if product is None else product


class BlobView(Blob):
    """Another blob's values and gradient under another shape (parameters shared permissively)."""

    def __init__(self, owner: Blob, shape: Iterable[int]) -> None:
        super().__init__(shape, owner.device)
        self.owner = owner

    @property
    def values(self) -> Values:
        return self.owner.values

    @property
    def data(self) -> torch.Tensor:
        return self.owner.data.view(self._shape)

    @data.setter
    def data(self, value: torch.Tensor) -> None:
        self.owner.data = value.reshape(self.owner.shape)

    @property
    def diff(self) -> torch.Tensor:
        return self.owner.diff.view(self._shape)

    @diff.setter
    def diff(self, value: torch.Tensor) -> None:
        self.owner.diff = value.reshape(self.owner.shape)

    def clear_diff(self) -> None:
        self.owner.clear_diff()

    def accumulate(self, gradient: torch.Tensor) -> None:
        self.owner.accumulate(gradient)

    def accumulate_product(self, a: torch.Tensor, b: torch.Tensor) -> None:
        self.owner.accumulate(a @ b)
