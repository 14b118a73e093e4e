"""How images are prepared unless something else is asked for; needs no TensorFlow."""

import dataclasses
import math
from typing import Any

from slim_resnet.errors import SlimResnetError

# What becomes of values, and the rule of resizing that goes with it.
_OWN_RESIZE = {"inception": "central", "vgg": "shorter-side", "none": "whole"}
PREPROCESSING = tuple(_OWN_RESIZE)
RESIZE = ("central", "shorter-side", "whole", "whole-half-pixel")
# Red, green and blue that research/slim's vgg_preprocessing subtracts, and its shorter side.
MEAN = (123.68, 116.78, 103.94)
RESIZE_SIDE = 256
# The released checkpoints are evaluated at 299, not at their default_image_size 224. A
# window of 299 does not fit into the 256 of vgg: networks prepared so are evaluated at 224.
IMAGE_SIZE = 299
VGG_IMAGE_SIZE = 224
BATCH_SIZE = 16
# An image of more pixels is refused before it is decoded; 50 megapixels take 1 GB.
MAX_PIXELS = 50_000_000
# No format that is read takes more for a pixel, but for what is around them.
_BYTES_A_PIXEL, _BYTES_AROUND = 8, 1 << 20
# Labels beyond this are no numbers of classes: a name and a row are kept for each.
MOST_CLASSES = 1_000_000


def most_bytes(max_pixels: int) -> int:
    """Returns above how many bytes a file holds more than ``max_pixels``, or no image."""
    return _BYTES_A_PIXEL * max_pixels + _BYTES_AROUND


@dataclasses.dataclass(frozen=True)
class Preprocessing:
    """How image files become what a network is given, its size in pixels apart.

    Attributes:
      name: What becomes of the values: ``inception`` (from -1 to 1), ``vgg`` (from 0 to
        255, less ``mean``) or ``none`` (from 0 to 255).
      mean: What ``vgg`` subtracts, a number for each channel; None takes `MEAN`.
      resize: One of `RESIZE`; None takes that of ``name``, in their order ``central``,
        ``shorter-side`` and ``whole``.
      resize_side: What ``shorter-side`` resizes to, in pixels; None takes `RESIZE_SIDE`.
      max_pixels: Images of more pixels are refused.

    Raises:
      SlimResnetError: There is no such name or rule, or they do not go together.
    """

    name: str = "inception"
    mean: tuple[float, ...] | None = None
    resize: str | None = None
    resize_side: int | None = None
    max_pixels: int = MAX_PIXELS

    def __post_init__(self) -> None:
        for kind, value, known in (("preprocessing", self.name, PREPROCESSING),
                                   ("rule of resizing", self.rule, RESIZE)):
            if value not in known:
                raise SlimResnetError(f"there is no {kind} {value!r}; choose one of "
                                      f"{', '.join(known)}")
        if self.mean is not None:
            if self.name != "vgg":
                raise SlimResnetError(f"--mean: is what vgg subtracts, and {self.name} subtracts "
                                      "nothing; add --preprocessing vgg or leave it out")
            if not all(map(math.isfinite, self.mean)):
                raise SlimResnetError(f"--mean {' '.join(map(str, self.mean))}: must be finite")
            # A list, as JSON has it, is neither hashed nor equal to a tuple.
            object.__setattr__(self, "mean", tuple(map(float, self.mean)))
        if self.resize_side is not None and self.rule != "shorter-side":
            raise SlimResnetError("--resize-side: is of the rule shorter-side; add "
                                  "--resize shorter-side or leave it out")

    @classmethod
    def of(cls, preprocessing: "str | Preprocessing") -> "Preprocessing":
        """Returns the `Preprocessing` that a name stands for; one that is given, as it is."""
        return preprocessing if isinstance(preprocessing, cls) else cls(preprocessing)

    @property
    def rule(self) -> str:
        """The rule of resizing, one of `RESIZE`."""
        return self.resize or _OWN_RESIZE.get(self.name, "whole")

    @property
    def side(self) -> int:
        """What the shorter side is resized to, in pixels."""
        return self.resize_side or RESIZE_SIDE

    @property
    def image_size(self) -> int:
        """Height and width in pixels unless another is asked for."""
        return IMAGE_SIZE if self.rule != "shorter-side" else VGG_IMAGE_SIZE

    def means(self, channels: int) -> tuple[float, ...]:
        """Returns what ``vgg`` subtracts from images of some channels.

        Raises:
          SlimResnetError: ``mean`` is of another number of channels.
        """
        mean = MEAN if self.mean is None else self.mean
        if len(mean) != channels:
            raise SlimResnetError(
                f"--mean: vgg subtracts {len(mean)} numbers, one a channel, and the network takes "
                f"images of {channels}; give as many numbers")
        return mean

    def check_size(self, image_size: int) -> None:
        """Raises `SlimResnetError` if a window of that size is not within the resized image."""
        if self.rule == "shorter-side" and image_size > self.side:
            raise SlimResnetError(
                f"--image-size {image_size}: is more than the {self.side} that the shorter side is "
                f"resized to; give --resize-side {round(image_size / 0.875)}, say, or a smaller "
                "size")

    def as_record(self) -> dict[str, Any]:
        """Returns all that values follow from, as plain data for JSON."""
        return {"preprocessing": self.name,
                "mean": list(self.mean or MEAN) if self.name == "vgg" else None,
                "resize": self.rule,
                "resize_side": self.side if self.rule == "shorter-side" else None}

    def described(self) -> str:
        """Returns the same in words."""
        values = {"inception": "values from -1 to 1", "none": "values from 0 to 255",
                  "vgg": f"less {' '.join(f'{value:g}' for value in self.mean or MEAN)}"}
        rule = f"{self.rule} {self.side}" if self.rule == "shorter-side" else self.rule
        return f"{self.name} ({rule}, {values[self.name]})"
