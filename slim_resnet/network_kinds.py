"""The two kinds of networks in the table of models: of residual units, and of tf_slim as it is.

What a row of `models.MODELS` has of them is a column here. Needs no TensorFlow until it
builds something.
"""

import dataclasses
import importlib
import types
from collections.abc import Sequence
from typing import Any


@dataclasses.dataclass(frozen=True)
class Variant:
    """A kind of ResNet: whose residual units its blocks are made of.

    Attributes:
      name: What records call it.
      title: What people call it.
      module: Holds its ``bottleneck``, its builder and ``resnet_arg_scope``.
      function: Name of its builder.
      unit: Scope of its ``bottleneck``, part of every checkpoint name.
      norm_first: Whether a unit begins with a batch norm, and not each convolution ends
        with one; this is what V2 and V1 are told by.
      conv3_norm: Whether conv3 of a unit has batch norm, and no biases.
      conv2_same: Whether TensorFlow's SAME pads conv2 of a strided unit, and not
        `resnet_utils.conv2d_same`.
      zero_debias: Whether its arg scope debiases moving means.
      mode_in_scope: Whether its arg scope takes ``is_training``, and not the builder.
      dense: Whether it has ``output_stride`` and ``spatial_squeeze``.
      in_scope: The builder's arguments for which it prints nothing and takes its mode
        from the arg scope around it.
      root: Scope, kernel size and stride of each convolution before pool1.
      functions: Arguments of the builder that are functions of its module, by name.
    """

    name: str
    title: str
    module: str
    function: str
    unit: str
    norm_first: bool
    conv3_norm: bool
    conv2_same: bool
    zero_debias: bool
    mode_in_scope: bool
    dense: bool
    in_scope: dict[str, Any]
    root: tuple[tuple[str, int, int], ...] = (("conv1", 7, 2),)
    functions: dict[str, str] = dataclasses.field(default_factory=dict)

    def load(self) -> types.ModuleType:
        """Imports and returns its module."""
        return importlib.import_module(self.module)

    def with_units(self, blocks: Sequence) -> list:
        """Returns a table of `resnet_utils.Block` with its own units."""
        return [block._replace(unit_fn=self.load().bottleneck) for block in blocks]

    def arg_scope(self, is_training: Any, **options: Any) -> dict:
        """Returns its arg scope in a mode, for ``slim.arg_scope``.

        Args:
          is_training: The mode.
          **options: Of its ``resnet_arg_scope``, such as ``batch_norm_scale``.
        """
        import tf_slim as slim
        if self.mode_in_scope:
            return self.load().resnet_arg_scope(is_training=is_training, **options)
        with slim.arg_scope(self.load().resnet_arg_scope(**options)), \
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
        module = self.load()
        for argument, function in self.functions.items():
            options[argument] = getattr(module, function)
        return getattr(module, self.function)(images, blocks, num_classes, **self.in_scope,
                                              **options)


_SLIM = dict(conv2_same=False, zero_debias=False, mode_in_scope=False, dense=True,
             in_scope={"is_training": None})
_SLIM_V1 = dict(module="slim_resnet.resnet_v1", function="resnet_v1", unit="bottleneck_v1",
                norm_first=False, conv3_norm=True, **_SLIM)

VARIANTS = {variant.name: variant for variant in (
    Variant("slim", "slim's ResNet V2", "slim_resnet.resnet_v2", "resnet_v2", "bottleneck_v2",
            norm_first=True, conv3_norm=False, **_SLIM),
    Variant("blog", "the blog's ResNet V2", "slim_resnet.blog", "resnet_v2", "bottleneck_v2",
            norm_first=True, conv3_norm=True, conv2_same=True, zero_debias=True,
            mode_in_scope=True, dense=False, in_scope={"announce": None}),
    Variant("slim_v1", "slim's ResNet V1", **_SLIM_V1),
    # Three 3 x 3 convolutions instead of the 7 x 7.
    Variant("deeplab_v1", "DeepLab's ResNet V1 beta", **_SLIM_V1,
            root=(("conv1_1", 3, 2), ("conv1_2", 3, 1), ("conv1_3", 3, 1)),
            functions={"root_block_fn": "root_block_fn_for_beta_variant"}),
)}


@dataclasses.dataclass(frozen=True)
class SlimNetwork:
    """A network of ``tf_slim.nets`` that is not made of residual units.

    Attributes:
      module: Holds both of the following.
      function: Name of its builder.
      scope_function: Name of what returns its arg scope.
      title: What people call it.
      first: The variable, below its scope, whose third dimension is the images' channels.
      logits: Scope, below its own, of the convolution that gives the logits.
      norm: Whether its convolutions have batch norm.
      aux: Scope, below its own, of its auxiliary logits; None for one without.
    """

    module: str
    function: str
    scope_function: str
    title: str
    first: str
    logits: str
    norm: bool = False
    aux: str | None = None

    @property
    def epsilon(self) -> float | None:
        """What its batch norms add to variances; None for one without."""
        return next((arguments["normalizer_params"]["epsilon"]
                     for arguments in self.arg_scope().values()
                     if arguments.get("normalizer_params")), None)

    def arg_scope(self, weight_decay: float | None = None, **batch_norm: Any) -> dict:
        """Returns its arg scope, for ``slim.arg_scope``.

        Args:
          weight_decay: L2 regularisation of the weights; None for its own.
          **batch_norm: Arguments that its batch norms are given besides its own.
        """
        own = {} if weight_decay is None else {"weight_decay": weight_decay}
        scope = getattr(importlib.import_module(self.module), self.scope_function)(**own)
        return {function: dict(arguments, normalizer_params=dict(
                    arguments["normalizer_params"], **batch_norm))
                if arguments.get("normalizer_params") else arguments
                for function, arguments in scope.items()}

    def build(self, images: Any, num_classes: int, is_training: Any, **options: Any
              ) -> tuple[Any, dict[str, Any]]:
        """Builds it in the arg scope around it.

        Args:
          images: ``[batch, height, width, channels]``, of a known size.
          num_classes: Number of logits.
          is_training: Mode of its batch norms and dropouts.
          **options: ``scope``, ``spatial_squeeze``; ``create_aux_logits`` where there is
            ``aux``.

        Returns:
          ``(logits, end_points)`` of ``tf_slim``, unchanged.
        """
        return getattr(importlib.import_module(self.module), self.function)(
            images, num_classes, is_training=is_training, **options)
