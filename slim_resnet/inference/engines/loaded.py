"""What an engine makes of a folded network, and what is recorded of one."""

from collections.abc import Collection
from typing import Any, Protocol

import numpy as np


class Loaded(Protocol):
    """A network that is ready to run, in some engine; calls may come from several threads.

    Attributes:
      record: See `record_of`.
      end_points: Maps the keys that were asked for to what has their ``shape``.
      errors: What `run` may raise.
    """

    record: dict[str, Any]
    end_points: dict[str, Any]
    errors: tuple[type[Exception], ...]

    def prepare(self, pixels: np.ndarray) -> np.ndarray:
        """Returns what the network takes for pixels, uint8 ``[N, H, W, channels]``."""
        ...

    def run(self, images: np.ndarray) -> list[np.ndarray]:
        """Returns float32 arrays: of ``heads``, then of ``end_points``."""
        ...

    def cause(self, error: Exception) -> str:
        """Returns one line of an error that `run` raised."""
        ...

    def close(self) -> None:
        """Frees what it holds; nothing runs any more."""
        ...


def record_of(network: Any, logits: str | None, keys: Collection[str], end_points: list[str],
              image_shape: list[int | None], preprocessing: str | None = None
              ) -> dict[str, Any]:
    """Returns what is to be known of a folded network, plain data.

    Args:
      network: A `recognition.Recognised`.
      logits: Key of the logits; None if there are none.
      keys: All end points that it has.
      end_points: Keys that are asked for beside logits and predictions.
      image_shape: Height and width that it takes, None for any.
      preprocessing: How the images of its training were prepared, where that is known.

    Returns:
      ``num_classes``, ``channels``, ``of_pixels`` (how pixels are prepared), ``preprocessing``
      (how they ought to be), ``heads`` (keys of logits and predictions), ``keys``,
      ``end_points`` and ``image_shape``.
    """
    heads = [logits, "predictions"] if logits else []
    # A network without logits still has something to compute.
    if not (heads or end_points):
        heads = ["global_pool"]
    return {"num_classes": network.num_classes, "channels": network.input_channels,
            "of_pixels": network.row.preprocessing,
            "preprocessing": preprocessing or network.row.preprocessing, "heads": heads,
            "keys": list(keys), "end_points": end_points, "image_shape": image_shape}
