"""Whether images prepared otherwise, or labels counted otherwise, fit a network far better.

The commonest mistake of all is to evaluate a network on images that were prepared in another
way than those it was trained on, or on labels that are one off.
"""

import dataclasses
import math
from typing import Any

import numpy as np

from slim_resnet.images.contents import Contents
from slim_resnet.images.reading import read_source
from slim_resnet.images.settings import PREPROCESSING, Preprocessing
from slim_resnet.images.sources import Arrays, ImageFiles, Records
from slim_resnet.inference.protocol import ImageNetwork

# How many images are tried, from all over the data, and how many there must be.
NUM_IMAGES, LEAST_IMAGES = 32, 8
# By how much of the images, and of the standard error, the best must be ahead.
LEAST_DIFFERENCE, STANDARD_ERRORS = 0.2, 3
# What is taken as the label of class 0, beside what was chosen.
_SHIFTS = (-1, 0, 1)


@dataclasses.dataclass(frozen=True)
class Fit:
    """How well labels fit what a network makes of some images.

    Attributes:
      preprocessing: How the images were prepared.
      labels_offset: The label of class 0.
      top_1: Share of the images whose label is the most probable class.
      num_images: How many they were.
    """

    preprocessing: Preprocessing
    labels_offset: int
    top_1: float
    num_images: int

    def as_record(self) -> dict[str, Any]:
        """Returns the same as plain data for JSON."""
        return {**self.preprocessing.as_record(), "labels_offset": self.labels_offset,
                "top_1_percent": 100 * self.top_1, "num_images": self.num_images}


def better_fit(network: ImageNetwork, source: ImageFiles | Arrays | Records | Contents,
               image_size: int, preprocessing: Preprocessing, labels_offset: int
               ) -> tuple[Fit, Fit] | None:
    """Tries other preparations and label offsets than those chosen on a few images.

    Args:
      network: With logits.
      source: Labelled images, see `images.find_data`.
      image_size: Height and width of the network's images, in pixels.
      preprocessing: The chosen one.
      labels_offset: The chosen one, which ``source`` was opened with.

    Returns:
      ``(chosen, best)``, or None if none is far better. That is: of `NUM_IMAGES` images
      spread over the data, at least `LEAST_IMAGES`, the best has more than
      `LEAST_DIFFERENCE` of all and more than `STANDARD_ERRORS` of the difference's standard
      error more right.
    """
    if source.num_images == 0:
        return None
    source, fits = _spread(source), []
    for one in _preparations(preprocessing, image_size, network.channels):
        labels, predicted = [], []
        for batch in read_source(source, image_size, one, NUM_IMAGES, channels=network.channels):
            if len(batch.images):
                labels += [label for label in batch.labels if label is not None]
                predicted += network.logits(batch.images).argmax(axis=1).tolist()
            break
        if len(labels) < LEAST_IMAGES:
            return None
        for shift in _SHIFTS:
            right = np.array(labels) - shift == predicted
            fits.append(Fit(one, labels_offset + shift, float(right.mean()), len(labels)))
    chosen = next(fit for fit in fits if (fit.preprocessing, fit.labels_offset) == (
        preprocessing, labels_offset))
    best = max(fits, key=lambda fit: fit.top_1)
    return (chosen, best) if _is_far_better(best, chosen) else None


def _is_far_better(best, chosen):
    error = math.sqrt(sum(fit.top_1 * (1 - fit.top_1) / fit.num_images for fit in (best, chosen)))
    return best.top_1 - chosen.top_1 > max(LEAST_DIFFERENCE, STANDARD_ERRORS * error)


def _preparations(chosen, image_size, channels):
    """Returns the chosen preparation and those of the other names that can be tried."""
    others = [Preprocessing(name, max_pixels=chosen.max_pixels) for name in PREPROCESSING
              if name != chosen.name and (name != "vgg" or channels == 3)]
    return [chosen, *(dataclasses.replace(one, resize_side=round(image_size / 0.875))
                      if one.rule == "shorter-side" and image_size > one.side else one
                      for one in others)]


def _spread(source):
    """Returns images from all over a source, as class folders come class by class."""
    if not isinstance(source, Arrays | ImageFiles):
        return source
    chosen = np.unique(np.linspace(0, source.num_images - 1, NUM_IMAGES).astype(int)).tolist()
    labels = [source.labels[k] for k in chosen]
    if isinstance(source, Arrays):
        return dataclasses.replace(source, pixels=source.pixels[chosen], labels=labels)
    return dataclasses.replace(source, files=[source.files[k] for k in chosen], labels=labels)


def described(found: tuple[Fit, Fit]) -> str:
    """Returns one line about what `better_fit` found, with the options that choose it."""
    chosen, best = found
    differences = []
    if best.preprocessing != chosen.preprocessing:
        side = best.preprocessing.resize_side
        differences.append(f"--preprocessing {best.preprocessing.name}"
                           + (f" --resize-side {side}" if side else ""))
    if best.labels_offset != chosen.labels_offset:
        differences.append(f"--labels-offset {best.labels_offset}")
    return (f"warning: of {best.num_images} images {100 * chosen.top_1:.0f} % are right, and with "
            f"{' '.join(differences)} {100 * best.top_1:.0f} %; the figures are of what was "
            "chosen")
