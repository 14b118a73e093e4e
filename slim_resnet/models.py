"""The networks that can be built by name, as one table; a new network is one row.

The table needs no TensorFlow, so that a command line can be checked against it at once.
Rows name their builders, which load when they are called.
"""

import dataclasses
import importlib
import types
from collections.abc import Callable, Sequence
from typing import Any

from slim_resnet.errors import SlimResnetError
from slim_resnet.images.settings import IMAGE_SIZE


@dataclasses.dataclass(frozen=True)
class Variant:
    """A kind of ResNet V2: whose residual units its blocks are made of.

    Attributes:
      name: What records call it.
      title: What people call it.
      module: Holds its ``bottleneck``, ``resnet_v2`` and ``resnet_arg_scope``.
      conv3_norm: Whether conv3 of a unit has batch norm and ReLU, and no biases. A
        checkpoint is told by that.
      conv2_same: Whether TensorFlow's SAME pads conv2 of a strided unit, and not
        `resnet_utils.conv2d_same`.
      zero_debias: Whether its arg scope debiases moving means.
      mode_in_scope: Whether its arg scope takes ``is_training``, and not the builder.
      dense: Whether it has ``output_stride`` and ``spatial_squeeze``.
      in_scope: The builder's arguments for which it prints nothing and takes its mode
        from the arg scope around it.
    """

    name: str
    title: str
    module: str
    conv3_norm: bool
    conv2_same: bool
    zero_debias: bool
    mode_in_scope: bool
    dense: bool
    in_scope: dict[str, Any]

    def load(self) -> types.ModuleType:
        """Imports and returns its module."""
        return importlib.import_module(self.module)

    def with_units(self, blocks: Sequence) -> list:
        """Returns a table of `resnet_utils.Block` with its own units."""
        return [block._replace(unit_fn=self.load().bottleneck) for block in blocks]

    def arg_scope(self, is_training: Any) -> dict:
        """Returns its arg scope in a mode, for ``slim.arg_scope``."""
        import tf_slim as slim
        if self.mode_in_scope:
            return self.load().resnet_arg_scope(is_training=is_training)
        with slim.arg_scope(self.load().resnet_arg_scope()), \
             slim.arg_scope([slim.batch_norm], is_training=is_training) as scope:
            return scope

    def build(self, images: Any, blocks: Sequence, num_classes: int | None, *,
              output_stride: int | None = None, spatial_squeeze: bool = False,
              **options: Any) -> tuple[Any, dict[str, Any]]:
        """Builds it from a table of blocks, in the arg scope around it.

        Args:
          images: ``[batch, height, width, channels]``.
          blocks: A list of `resnet_utils.Block`.
          num_classes: Number of logits; None leaves them out.
          output_stride: As in `resnet_v2.resnet_v2`.
          spatial_squeeze: As in `resnet_v2.resnet_v2`.
          **options: ``global_pool``, ``include_root_block``, ``reuse`` and ``scope``.

        Returns:
          ``(net, end_points)`` as `resnet_v2.resnet_v2` returns them.

        Raises:
          ValueError: It has no ``output_stride`` or ``spatial_squeeze``, or cannot reach
            this one.
        """
        if self.dense:
            options.update(output_stride=output_stride, spatial_squeeze=spatial_squeeze)
        elif output_stride is not None or spatial_squeeze:
            raise ValueError(f"the {self.name}'s has no output_stride and no spatial_squeeze")
        return self.load().resnet_v2(images, blocks, num_classes, **self.in_scope, **options)


VARIANTS = {variant.name: variant for variant in (
    Variant("slim", "slim's ResNet V2", "slim_resnet.resnet_v2", conv3_norm=False,
            conv2_same=False, zero_debias=False, mode_in_scope=False, dense=True,
            in_scope={"is_training": None}),
    Variant("blog", "the blog's ResNet V2", "slim_resnet.blog", conv3_norm=True,
            conv2_same=True, zero_debias=True, mode_in_scope=True, dense=False,
            in_scope={"announce": None}),
)}


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
      depth: A key of `resnet_v2.DEPTHS`, whose blocks it has; None for other blocks.
      foldable: Whether an `inference.InferenceModel` can be made of it.
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
    depth: int | None = None
    foldable: bool = False
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
            raise SlimResnetError(f"{self.name} takes images of {self.image_size} x "
                                  f"{self.image_size} pixels only, not {image_size}")
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


_RESIDUAL = dict(evaluated_image_size=IMAGE_SIZE, preprocessing="inception", foldable=True,
                 trainable=True)

_TABLE = (
    # Built from a table of blocks.
    Model("resnet_v2", None, scope="resnet_v2", variant="slim", **_RESIDUAL),
    Model("blog_resnet_v2", None, scope="resnet_v2", variant="blog", **_RESIDUAL),
    # Built by name.
    Model("blog_resnet_v2_152",
          _network("slim_resnet.blog", "resnet_v2_152", mode_in_scope=True),
          scope="resnet_v2_152", variant="blog", depth=152, **_RESIDUAL),
    *(Model(f"resnet_v2_{depth}", _network("slim_resnet.resnet_v2", f"resnet_v2_{depth}"),
            scope=f"resnet_v2_{depth}", variant="slim", depth=depth, **_RESIDUAL)
      for depth in (50, 101, 152, 200)),
    # Its first dense layer is a 7 x 7 convolution of the map that 224 pixels give.
    Model("vgg_16", _network("tf_slim.nets.vgg", "vgg_16", "vgg_arg_scope"),
          min_image_size=224, max_image_size=224),
    # Below 107 pixels the 5 x 5 pool of its auxiliary head has nothing to stand on.
    Model("inception_v3",
          _network("tf_slim.nets.inception_v3", "inception_v3", "inception_v3_arg_scope"),
          image_size=299, min_image_size=107),
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
