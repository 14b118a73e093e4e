"""The checkpoints that research/slim released of these networks; needs no TensorFlow.

Places and accuracies (single crop, ImageNet's validation set) are those of its README. How a
network's images are prepared is in its row of `models.MODELS`.
"""

import dataclasses

from slim_resnet.errors import SlimResnetError

PLACE = "http://download.tensorflow.org/models"


@dataclasses.dataclass(frozen=True)
class Released:
    """A released checkpoint.

    Attributes:
      name: A key of `models.MODELS`.
      archive: Name of the file at `PLACE`.
      num_classes: Its logits: 1001 with background as class 0, or ImageNet's 1000.
      top_1: Its published accuracy in per cent, or None.
      top_5: Likewise.
    """

    name: str
    archive: str
    num_classes: int
    top_1: float | None = None
    top_5: float | None = None


RELEASED = {one.name: one for one in (
    Released("inception_v1", "inception_v1_2016_08_28.tar.gz", 1001, 69.8, 89.6),
    Released("inception_v2", "inception_v2_2016_08_28.tar.gz", 1001, 73.9, 91.8),
    Released("inception_v3", "inception_v3_2016_08_28.tar.gz", 1001, 78.0, 93.9),
    Released("resnet_v1_50", "resnet_v1_50_2016_08_28.tar.gz", 1000, 75.2, 92.2),
    Released("resnet_v1_101", "resnet_v1_101_2016_08_28.tar.gz", 1000, 76.4, 92.9),
    Released("resnet_v1_152", "resnet_v1_152_2016_08_28.tar.gz", 1000, 76.8, 93.2),
    Released("resnet_v2_50", "resnet_v2_50_2017_04_14.tar.gz", 1001, 75.6, 92.8),
    Released("resnet_v2_101", "resnet_v2_101_2017_04_14.tar.gz", 1001, 77.0, 93.7),
    Released("resnet_v2_152", "resnet_v2_152_2017_04_14.tar.gz", 1001, 77.8, 94.1),
    Released("vgg_16", "vgg_16_2016_08_28.tar.gz", 1000, 71.5, 89.8),
    Released("vgg_19", "vgg_19_2016_08_28.tar.gz", 1000, 71.1, 89.8),
)}


def find_released(name: str) -> Released:
    """Returns the `Released` of that name; `SlimResnetError` names the others."""
    if name not in RELEASED:
        raise SlimResnetError(f"no released checkpoint is named {name!r}; there are "
                              + ", ".join(RELEASED))
    return RELEASED[name]


def advice(path: str) -> str:
    """Returns where to get a file that is not there, or "" if its name is of none released."""
    stem = path.replace("\\", "/").rsplit("/", 1)[-1].removesuffix(".ckpt")
    one = next((one for one in RELEASED.values()
                if stem in (one.name, one.archive, one.archive.removesuffix(".tar.gz"))), None)
    if one is None:
        return ""
    return (f"; the released one is {PLACE}/{one.archive}, which 'slim-resnet data checkpoint "
            f"{one.name} DIR' fetches")
