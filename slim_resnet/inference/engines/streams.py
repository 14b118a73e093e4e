"""A batch split among streams: parts of it side by side, each on one thread.

The layers of a network run one after the other. Threads that share each of them are woken for
each, and wait for the slowest; a stream of one thread waits for nobody.
"""

import concurrent.futures
import threading
from collections.abc import Callable

import numpy as np

# From the parts of a batch to the outputs of each.
Run = Callable[[list[np.ndarray]], list[list[np.ndarray]]]
# Images that a stream has at least: fewer take longer than in a batch that is not split.
LEAST = {"float32": 1, "bfloat16": 8, "int8": 1}
# How much longer than the mean the longest part may be: all wait for it.
_MOST_UNEVEN = 1.125


class Streams:
    """Runs batches, one call after the other, split where that is faster.

    Attributes:
      threads: How many there are to be used; 1 splits nothing.
      turn: Whoever works with the network holds it.
    """

    def __init__(self, threads: int, precision: str, uneven: bool = True) -> None:
        """Args:
          threads: See the attributes.
          precision: A key of `LEAST`.
          uneven: Whether parts may differ by an image.
        """
        self.threads, self._least = threads, LEAST[precision]
        self._most_uneven = _MOST_UNEVEN if uneven else 1
        self.turn, self._pool = threading.Lock(), None

    def number(self, images: int) -> int:
        """Returns among how many streams a batch is split: one for each thread, or 1.

        Args:
          images: How many the batch has.
        """
        longest = -(-images // self.threads)
        split = (images >= self._least * self.threads
                 and longest * self.threads <= self._most_uneven * images)
        return self.threads if split else 1

    def run(self, ready: Callable[[int, tuple[int, ...]], Run], images: np.ndarray
            ) -> list[np.ndarray]:
        """Returns what the network makes of a batch.

        Args:
          ready: ``ready(streams, shape)`` returns what runs so many parts, the first of which
            is of this shape.
          images: ``[N, H, W, channels]``.
        """
        with self.turn:
            number = self.number(len(images))
            parts = np.array_split(images, number)
            outputs = ready(number, parts[0].shape)(parts)
        return outputs[0] if number == 1 else list(map(np.concatenate, zip(*outputs)))

    def on_threads(self, one: Callable[[np.ndarray], list[np.ndarray]]) -> Run:
        """Returns what runs ``one`` for every part, of several each on a thread of its own."""
        def run(parts):
            if len(parts) == 1:
                return [one(parts[0])]
            if self._pool is None:
                self._pool = concurrent.futures.ThreadPoolExecutor(self.threads)
            running = [self._pool.submit(one, part) for part in parts]
            try:
                concurrent.futures.wait(running)
            except KeyboardInterrupt:
                # What runs cannot be stopped, and the next call needs its place.
                concurrent.futures.wait(running)
                raise
            return [each.result() for each in running]

        return run

    def close(self) -> None:
        """Ends its threads."""
        if self._pool is not None:
            self._pool.shutdown()
