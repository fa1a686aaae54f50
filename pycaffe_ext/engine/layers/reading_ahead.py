"""What the layers have in common whose batches a thread reads ahead."""

from __future__ import annotations

from pycaffe_ext.engine.io.prefetch import Prefetcher
from pycaffe_ext.engine.io.reading import Batch
from pycaffe_ext.engine.lanes import hand_over
from pycaffe_ext.engine.layers.base import Layer
from pycaffe_ext.errors import UserError


class ReadingAhead(Layer):
    """A source of batches; `_ahead` reads them, and is None while it does not."""

    _ahead: Prefetcher | None = None

    def _take(self) -> Batch:
        """The next batch; an error raised while reading it is re-raised with the layer's name."""
        assert self._ahead is not None, "a source reads ahead while its net runs"
        try:
            batch = self._ahead.take()
        except UserError as error:
            self.fail(str(error))
        return Batch(hand_over(batch.pixels), hand_over(batch.labels))

    def close(self) -> None:
        """Stop reading ahead."""
        if self._ahead is not None:
            self._ahead.close()
            self._ahead = None
