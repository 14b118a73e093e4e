"""Which images calibrate and judge a network of int8, and what is said of it; needs no numpy."""

from collections.abc import Sequence
from typing import Any, TypeVar

from slim_resnet.errors import SlimResnetError

# Of 64 images 48 give the ranges and 16 judge. More than 400 make it slower and no better.
LEAST_IMAGES, MOST_IMAGES = 64, 400
# Share of the images that judge which have to keep their most probable class.
LEAST_AGREEMENT = 0.97

T = TypeVar("T")


def chosen(images: Sequence[T], what: str) -> list[T]:
    """Returns those that are used: all, or `MOST_IMAGES` from all over the sequence.

    Raises:
      SlimResnetError: There are fewer than `LEAST_IMAGES`; ``what`` names them.
    """
    if len(images) < LEAST_IMAGES:
        raise SlimResnetError(f"{what}: {len(images)} images are too few to calibrate int8 with; "
                              f"give at least {LEAST_IMAGES}")
    count = min(len(images), MOST_IMAGES)
    return [images[place * (len(images) - 1) // (count - 1)] for place in range(count)]


def is_refused(quantised: dict[str, Any]) -> bool:
    """Whether a network in int8 agrees in too few images to be taken without a word."""
    return quantised["top_1_agreement_percent"] < 100 * LEAST_AGREEMENT


def refusal(path: str, quantised: dict[str, Any]) -> SlimResnetError:
    """Returns the error that says so."""
    return SlimResnetError(f"{path}: {described(quantised)}; less than "
                           f"{100 * LEAST_AGREEMENT:.0f} % in top-1 is taken only with --accept")


def described(quantised: dict[str, Any]) -> str:
    """Returns one line of what `quantising.quantise` found."""
    return (f"int8 by {quantised['quantiser']}: of {quantised['judged_images']} images that it "
            f"was not calibrated with, it agrees with float32 in "
            f"{quantised['top_1_agreement_percent']:.1f} % (top-1) and "
            f"{quantised['top_5_agreement_percent']:.1f} % (top-5); logits are within "
            f"{quantised['logits']['largest']:.1e}, {quantised['logits']['mean']:.1e} in the mean")
