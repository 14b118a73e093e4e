"""The networks that can be built by name, as one table; a new network is one row.

The table needs no TensorFlow, so that a command line can be checked against it at once.
Rows name their builders, which load when they are called.
"""

import dataclasses
import importlib
from collections.abc import Callable
from typing import Any

from slim_resnet.errors import SlimResnetError
from slim_resnet.images.settings import IMAGE_SIZE
from slim_resnet.network_kinds import VARIANTS, SlimNetwork, Variant  # noqa: F401 (its columns)


def _network(module: str, function: str, arg_scope: str = "resnet_arg_scope",
             mode_in_scope: bool = False) -> Callable[..., tuple]:
    """Returns a builder of a network in its own arg scope, imported when it is called.

    Args:
      module: Holds both.
      function: Builds the network.
      arg_scope: Returns its arg scope.
      mode_in_scope: Whether the latter takes ``is_training``, and not the former.
    """
    def build(images, num_classes, is_training):
        import tf_slim as slim
        home, mode = importlib.import_module(module), {"is_training": is_training}
        with slim.arg_scope(getattr(home, arg_scope)(**mode if mode_in_scope else {})):
            return getattr(home, function)(images, num_classes, **{} if mode_in_scope else mode)
    return build


@dataclasses.dataclass(frozen=True)
class Model:
    """A network that can be built by name: a row of the table.

    Attributes:
      name: Its name on the command line.
      builder: ``builder(images, num_classes, is_training)`` builds it in its own arg
        scope; None for one that is built from a table of blocks of the user's.
      image_size: Height and width in pixels that it is timed at by default.
      min_image_size: The smallest that its convolutions leave something of.
      max_image_size: The largest; None if there is no bound.
      num_classes: Number of logits unless another is asked for.
      evaluated_image_size: Height and width that images for its checkpoints are resized
        to unless another is asked for; None where its checkpoints cannot be used.
      preprocessing: How they are prepared unless asked otherwise, one of
        `images.settings.PREPROCESSING`, or None likewise.
      scope: Variable scope.
      variant: A key of `VARIANTS`; None for one that is not built of residual units.
      network: The `SlimNetwork` of one that is not.
      depth: A key of `resnet_v2.DEPTHS`, whose blocks it has; None for other blocks.
      trainable: Whether `slim_resnet.training` trains it.
    """

    name: str
    builder: Callable[..., tuple] | None
    image_size: int = 224
    min_image_size: int = 32
    max_image_size: int | None = None
    num_classes: int = 1000
    evaluated_image_size: int | None = None
    preprocessing: str | None = None
    scope: str | None = None
    variant: str | None = None
    network: SlimNetwork | None = None
    depth: int | None = None
    trainable: bool = False

    def checked_image_size(self, image_size: int | None = None) -> int:
        """Returns ``image_size``, or the network's own for None.

        Raises:
          SlimResnetError: The network cannot be built at ``image_size``.
        """
        if image_size is None:
            return self.image_size
        if image_size < self.min_image_size:
            raise SlimResnetError(f"{self.name} needs images of at least {self.min_image_size} x "
                                  f"{self.min_image_size} pixels, not {image_size}")
        if self.max_image_size is not None and image_size > self.max_image_size:
            only = self.min_image_size == self.max_image_size
            raise SlimResnetError(
                f"{self.name} takes images of {'' if only else 'at most '}{self.max_image_size} x "
                f"{self.max_image_size} pixels{' only' if only else ''}, not {image_size}")
        return image_size

    def build(self, images: Any, num_classes: int | None, is_training: bool
              ) -> tuple[Any, dict[str, Any]]:
        """Builds the network in its own arg scope, in the default graph.

        Args:
          images: ``[batch, height, width, 3]``.
          num_classes: Number of logits; None takes the row's.
          is_training: Mode of its batch norms and dropouts, a bool.

        Returns:
          ``(logits, end_points)``; ResNets' logits are ``[batch, 1, 1, num_classes]``,
          the others' ``[batch, num_classes]``.
        """
        return self.builder(images, num_classes or self.num_classes, is_training)


def _plain(name: str, network: SlimNetwork, scope: str, image_size: int, **columns: Any) -> Model:
    """Returns the row of a network that is not built of residual units."""
    def build(images, num_classes, is_training):
        import tf_slim as slim
        with slim.arg_scope(network.arg_scope()):
            return network.build(images, num_classes, is_training)
    return Model(name, build, image_size, evaluated_image_size=image_size, scope=scope,
                 network=network, trainable=True, **columns)


def _vgg(name: str, title: str) -> Model:
    # Its first dense layer is a 7 x 7 convolution of the map that 224 pixels give.
    return _plain(name, SlimNetwork("tf_slim.nets.vgg", name, "vgg_arg_scope", title,
                                    "conv1/conv1_1/weights", "fc8"),
                  name, 224, min_image_size=224, max_image_size=224, preprocessing="vgg")


def _inception(version: int, first: str, logits: str, image_size: int, aux: str | None = None,
               **columns: Any) -> Model:
    module = f"inception_v{version}"
    return _plain(module, SlimNetwork(f"tf_slim.nets.{module}", module, f"{module}_arg_scope",
                                      f"Inception V{version}", first, f"Logits/{logits}",
                                      norm=True, aux=aux),
                  f"InceptionV{version}", image_size, preprocessing="inception", **columns)


# What a released checkpoint was trained with: research/slim's README and the table of
# preprocessing/preprocessing_factory.py there. The README has V2 evaluated with Inception's
# preparation at 299. DeepLab's feature_extractor.py has its beta networks take [-1, 1].
_V2 = dict(evaluated_image_size=IMAGE_SIZE, preprocessing="inception", trainable=True)
_V1 = dict(evaluated_image_size=224, preprocessing="vgg", trainable=True)
_BETA = dict(_V1, preprocessing="inception")

_TABLE = (
    # Built from a table of blocks.
    Model("resnet_v2", None, scope="resnet_v2", variant="slim", **_V2),
    Model("blog_resnet_v2", None, scope="resnet_v2", variant="blog", **_V2),
    Model("resnet_v1", None, scope="resnet_v1", variant="slim_v1", **_V1),
    Model("resnet_v1_beta", None, scope="resnet_v1", variant="deeplab_v1", **_BETA),
    # Built by name.
    Model("blog_resnet_v2_152",
          _network("slim_resnet.blog", "resnet_v2_152", mode_in_scope=True),
          scope="resnet_v2_152", variant="blog", depth=152, **_V2),
    *(Model(f"resnet_v2_{depth}", _network("slim_resnet.resnet_v2", f"resnet_v2_{depth}"),
            scope=f"resnet_v2_{depth}", variant="slim", depth=depth, **_V2)
      for depth in (50, 101, 152, 200)),
    *(Model(f"resnet_v1_{depth}", _network("slim_resnet.resnet_v1", f"resnet_v1_{depth}"),
            scope=f"resnet_v1_{depth}", variant="slim_v1", depth=depth, **_V1)
      for depth in (50, 101, 152, 200)),
    _vgg("vgg_a", "VGG A"), _vgg("vgg_16", "VGG 16"), _vgg("vgg_19", "VGG 19"),
    _inception(1, "Conv2d_1a_7x7/weights", "Conv2d_0c_1x1", 224,
               min_image_size=193, max_image_size=224),
    _inception(2, "Conv2d_1a_7x7/depthwise_weights", "Conv2d_1c_1x1", 224, max_image_size=256),
    # Below 107 pixels the 5 x 5 pool of its auxiliary head has nothing to stand on.
    _inception(3, "Conv2d_1a_3x3/weights", "Conv2d_1c_1x1", 299, "AuxLogits",
               min_image_size=107, max_image_size=346),
    # research/slim released no checkpoints of these two: their preparation is assumed.
    _plain("alexnet_v2", SlimNetwork("tf_slim.nets.alexnet", "alexnet_v2", "alexnet_v2_arg_scope",
                                     "AlexNet V2", "conv1/weights", "fc8"),
           "alexnet_v2", 224, min_image_size=195, max_image_size=226, preprocessing="vgg"),
    _plain("overfeat", SlimNetwork("tf_slim.nets.overfeat", "overfeat", "overfeat_arg_scope",
                                   "OverFeat", "conv1/weights", "fc8"),
           "overfeat", 231, min_image_size=231, max_image_size=262, preprocessing="vgg"),
)

MODELS = {model.name: model for model in _TABLE if model.builder}
TRAINABLE = {model.name: model for model in _TABLE if model.trainable}
# Those of them that are built from a table of blocks.
FROM_BLOCKS = {name: model for name, model in TRAINABLE.items() if model.builder is None}


def find_model(name: str) -> Model:
    """Returns the `Model` of that name; `SlimResnetError` names the others."""
    if name not in MODELS:
        raise SlimResnetError(f"no model is named {name!r}; there are {', '.join(MODELS)}")
    return MODELS[name]
