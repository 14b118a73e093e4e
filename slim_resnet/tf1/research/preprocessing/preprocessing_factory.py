"""preprocessing/preprocessing_factory.py: preparations by the name of the network."""

import typing

from slim_resnet.tf1.research.preprocessing import (
    cifarnet_preprocessing,
    inception_preprocessing,
    lenet_preprocessing,
    vgg_preprocessing,
)

_PREPARATIONS = {
    **dict.fromkeys(
        ("inception", "inception_v1", "inception_v2", "inception_v3", "inception_v4",
         "inception_resnet_v2", "mobilenet_v1", "mobilenet_v2", "mobilenet_v2_035",
         "mobilenet_v2_140", "nasnet_mobile", "nasnet_large", "pnasnet_mobile",
         "pnasnet_large"), inception_preprocessing),
    # research/slim's factory has VGG's for resnet_v2 too. Its released resnet_v2 checkpoints
    # were trained with Inception's; its page of checkpoints says so.
    **dict.fromkeys(
        ("vgg", "vgg_a", "vgg_16", "vgg_19",
         *(f"resnet_v{version}_{depth}" for version in (1, 2) for depth in (50, 101, 152, 200))),
        vgg_preprocessing),
    "cifarnet": cifarnet_preprocessing,
    "lenet": lenet_preprocessing,
}


def get_preprocessing(name: str, is_training: bool = False) -> typing.Callable:
    """Returns the preparation of a network's images.

    Args:
      name: Name of the network or of the preparation.
      is_training: Whether for training.

    Returns:
      ``preprocessing_fn(image, output_height, output_width, **kwargs)``, which returns the
      prepared image.

    Raises:
      ValueError: There is no such name.
    """
    if name not in _PREPARATIONS:
        raise ValueError(f"Preprocessing name [{name}] was not recognized")

    def preprocessing_fn(image, output_height, output_width, **kwargs):
        return _PREPARATIONS[name].preprocess_image(
            image, output_height, output_width, is_training=is_training, **kwargs)

    return preprocessing_fn
