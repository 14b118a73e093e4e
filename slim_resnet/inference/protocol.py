"""What the networks that classify images have in common."""

from types import TracebackType
from typing import Any, Protocol, runtime_checkable

import numpy as np


@runtime_checkable
class ScoringNetwork(Protocol):
    """A network that gives logits, used in a ``with`` statement, which closes it.

    `network.Network`, `folded.model.InferenceModel` and the networks that training
    evaluates.

    Attributes:
      num_classes: Number of logits; None for a network without.
    """

    num_classes: int | None

    def __enter__(self) -> Any: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None: ...

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Returns logits ``[N, classes]`` of prepared images ``[N, size, size, channels]``."""
        ...


@runtime_checkable
class ImageNetwork(ScoringNetwork, Protocol):
    """A checkpoint's network, as it is or folded.

    Attributes:
      path: Path of the checkpoint, for messages.
      end_points: Maps keys to tensors: all of an unfolded network's, those that were
        asked for of a folded one's.
      precision: What it computes in: one of `environment.PRECISIONS`, or ``int8``.
      engine: Title and version of what runs it, such as ``TensorFlow 2.21.0``.
      quantised: Of int8, what its calibration found, plain data; else None.
      channels: Of the images.
      busy_s: Seconds that it has been at work on images.
    """

    path: str
    precision: str
    engine: str
    quantised: dict[str, Any] | None
    end_points: dict[str, Any]
    channels: int
    busy_s: float

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """Returns class probabilities ``[N, classes]`` of images ``[N, size, size, channels]``."""
        ...

    def features(self, end_points: Any, images: np.ndarray) -> Any:
        """Returns end points for images.

        Args:
          end_points: An end point, see `keys.choose_one`, or a list or dict of them, for which
            its like is returned.
          images: ``[N, size, size, channels]``.
        """
        ...
