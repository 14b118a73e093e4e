"""The networks that can be built by name, as one table.

The table itself needs no TensorFlow, so that a command line can be checked against
it at once; `Model.build` does.
"""

import dataclasses
import typing

from slim_resnet.errors import SlimResnetError


def _build_blog(images, num_classes, is_training):
    import tf_slim as slim

    from slim_resnet import blog
    with slim.arg_scope(blog.resnet_arg_scope(is_training=is_training)):
        return blog.resnet_v2_152(images, num_classes)


def _builder_of_depth(depth):
    def build(images, num_classes, is_training):
        import tf_slim as slim

        from slim_resnet import resnet_v2
        with slim.arg_scope(resnet_v2.resnet_arg_scope()):
            return getattr(resnet_v2, f"resnet_v2_{depth}")(images, num_classes,
                                                            is_training=is_training)
    return build


def _build_vgg_16(images, num_classes, is_training):
    import tf_slim as slim
    from tf_slim.nets import vgg
    with slim.arg_scope(vgg.vgg_arg_scope()):
        return vgg.vgg_16(images, num_classes, is_training=is_training)


def _build_inception_v3(images, num_classes, is_training):
    import tf_slim as slim
    from tf_slim.nets import inception_v3
    with slim.arg_scope(inception_v3.inception_v3_arg_scope()):
        return inception_v3.inception_v3(images, num_classes, is_training=is_training)


@dataclasses.dataclass(frozen=True)
class Model:
    """A network that can be built by name.

    Attributes:
      name: Its name on the command line.
      builder: ``builder(images, num_classes, is_training)``.
      image_size: Height and width in pixels that it is timed at by default.
      min_image_size: The smallest that its convolutions leave something of.
      max_image_size: The largest; None if there is no bound.
      depth: A key of `resnet_v2.DEPTHS`, whose blocks the network has; None for one
        that is not built of blocks.
      variant: ``slim`` or ``blog``: whose residual units those blocks are made of.
    """

    name: str
    builder: typing.Callable
    image_size: int = 224
    min_image_size: int = 32
    max_image_size: int | None = None
    depth: int | None = None
    variant: str = "slim"

    def checked_image_size(self, image_size=None):
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

    def build(self, images, num_classes, is_training):
        """Builds the network in its own arg scope, in the default graph.

        Args:
          images: ``[batch, height, width, 3]``.
          num_classes: Number of logits.
          is_training: Mode of its batch norms and dropouts, a bool.

        Returns:
          ``(logits, end_points)``; ResNets' logits are ``[batch, 1, 1, num_classes]``,
          the others' ``[batch, num_classes]``.
        """
        return self.builder(images, num_classes, is_training)


MODELS = {model.name: model for model in (
    Model("blog_resnet_v2_152", _build_blog, depth=152, variant="blog"),
    *(Model(f"resnet_v2_{depth}", _builder_of_depth(depth), depth=depth)
      for depth in (50, 101, 152, 200)),
    # Its first dense layer is a 7 x 7 convolution of the map that 224 pixels give.
    Model("vgg_16", _build_vgg_16, min_image_size=224, max_image_size=224),
    # Below 107 pixels the 5 x 5 pool of its auxiliary head has nothing to stand on.
    Model("inception_v3", _build_inception_v3, image_size=299, min_image_size=107),
)}


def find_model(name):
    """Returns the `Model` of that name; `SlimResnetError` names the others."""
    if name not in MODELS:
        raise SlimResnetError(f"no model is named {name!r}; there are {', '.join(MODELS)}")
    return MODELS[name]
