"""nets/nets_factory.py: networks by name."""

import functools
import typing

import tf_slim as slim

from slim_resnet.tf1.research.nets import (
    alexnet,
    inception,
    overfeat,
    resnet_v1,
    resnet_v2,
    vgg,
)

_RESNETS = {f"resnet_v{version}_{depth}": module
            for version, module in ((1, resnet_v1), (2, resnet_v2))
            for depth in (50, 101, 152, 200)}

networks_map = {
    "alexnet_v2": alexnet.alexnet_v2,
    "overfeat": overfeat.overfeat,
    **{name: getattr(vgg, name) for name in ("vgg_a", "vgg_16", "vgg_19")},
    **{name: getattr(inception, name) for name in ("inception_v1", "inception_v2", "inception_v3")},
    **{name: getattr(module, name) for name, module in _RESNETS.items()},
}

arg_scopes_map = {
    "alexnet_v2": alexnet.alexnet_v2_arg_scope,
    "overfeat": overfeat.overfeat_arg_scope,
    **dict.fromkeys(("vgg_a", "vgg_16", "vgg_19"), vgg.vgg_arg_scope),
    # research/slim has V3's for all three.
    **dict.fromkeys(("inception_v1", "inception_v2", "inception_v3"),
                    inception.inception_v3_arg_scope),
    **{name: module.resnet_arg_scope for name, module in _RESNETS.items()},
}


def get_network_fn(name: str, num_classes: int | None, weight_decay: float = 0.0,
                   is_training: bool = False) -> typing.Callable:
    """Returns a network in its arg scope.

    Args:
      name: A key of `networks_map`.
      num_classes: Number of logits; ResNets take 0 or None for their features.
      weight_decay: L2 regularisation of the weights.
      is_training: Mode of batch norms and dropouts.

    Returns:
      ``network_fn(images, **kwargs)``, which returns ``(net, end_points)``. Its
      ``default_image_size`` is the height and width of images it is made for.

    Raises:
      ValueError: There is no such network here.
    """
    if name not in networks_map:
        raise ValueError(
            f"Name of network unknown {name}; without research/slim's folder nets beside the "
            f"script there are {', '.join(networks_map)}")
    network = networks_map[name]

    @functools.wraps(network)
    def network_fn(images, **kwargs):
        with slim.arg_scope(arg_scopes_map[name](weight_decay=weight_decay)):
            return network(images, num_classes=num_classes, is_training=is_training, **kwargs)

    return network_fn
