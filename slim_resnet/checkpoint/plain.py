"""Finding a network without residual units in a checkpoint, by what tf_slim's builder makes."""

import functools
import re
import typing
from collections.abc import Iterable, Sequence

import tensorflow as tf
import tf_slim as slim

from slim_resnet.errors import SlimResnetError
from slim_resnet.models import MODELS, Model

tf1 = tf.compat.v1

# What an auxiliary head's convolution over all of its map is called, by the map's size.
_AUX_KERNEL = re.compile(r"/Conv2d_2a_([1-5])x\1/weights$")


class Found(typing.NamedTuple):
    """A network that was found, see `recognition.Recognised`.

    ``expected`` is what shape each of its variables must have, by name.
    """

    model: Model
    scope: str
    expected: dict[str, tuple]
    num_classes: int
    input_channels: int
    aux_kernel: int | None


def scopes_in(names: Iterable[str]) -> list[str]:
    """Returns the scopes where the first and last convolutions of such a network are."""
    # A dict, to look names up in order.
    names = dict.fromkeys(names)
    return sorted({scope for model in MODELS.values() if model.network
                   for scope in _scopes(model, names)})


def find(path: str, shapes: dict[str, tuple], names: Iterable[str], chosen: Sequence[str]
         ) -> Found | None:
    """Returns the network that fits a checkpoint's variables, or None if there is none.

    Args:
      path: Of the checkpoint, for messages.
      shapes: Shapes of all variables by name.
      names: Those that are no leftovers of training.
      chosen: Its scope, first in a list; empty if `scopes_in` found none.

    Raises:
      SlimResnetError: It is only part of one.
    """
    names = dict.fromkeys(names)
    candidates = [_candidate(path, shapes, names, model, scope)
                  for model in MODELS.values() if model.network
                  for scope in _scopes(model, names) if scope in chosen[:1]]
    if not candidates:
        return None

    # All that VGG A has is in VGG 16 too: the most variables that fit, then the fewest that
    # do not.
    def fit(one):
        fitting = sum(_fits(shapes.get(name, ()), shape) for name, shape in one.expected.items())
        return fitting, fitting - len(one.expected)
    best = max(candidates, key=fit)
    for name, shape in best.expected.items():
        if name not in shapes:
            raise SlimResnetError(f"{path}: only part of {best.model.network.title}: it holds no "
                                  f"{name}")
        if not _fits(shapes[name], shape):
            raise SlimResnetError(f"{path}: {name} has the shape {list(shapes[name])}; in "
                                  f"{best.model.network.title} it must have {list(shape)}")
    return best


def _scopes(model, names):
    """Returns the scopes where a network's first and last convolutions are."""
    return [scope for scope in _scopes_of(f"{model.network.logits}/weights", names)
            if f"{scope}/{model.network.first}".lstrip("/") in names]


def _scopes_of(variable, names):
    return [name[:-len(variable)].rstrip("/") for name in names
            if name == variable or name.endswith(f"/{variable}")]


def _candidate(path, shapes, names, model, scope):
    network, start = model.network, scope + "/" if scope else ""
    first, logits = shapes[start + network.first], shapes[f"{start}{network.logits}/weights"]
    if len(first) != 4 or len(logits) not in (2, 4):
        raise SlimResnetError(f"{path}: {start}{network.first} and {start}{network.logits}/weights "
                              f"have the shapes {list(first)} and {list(logits)}, and are no "
                              "convolutions")
    if 0 in (first[2], logits[-1]):
        raise SlimResnetError(f"{path}: {start}{network.first} and {start}{network.logits}/weights "
                              f"have the shapes {list(first)} and {list(logits)}: a network "
                              "without channels or classes")
    aux_kernel = None
    if network.aux and any(name.startswith(f"{start}{network.aux}/") for name in names):
        kernels = [int(match[1]) for match in filter(None, (
            _AUX_KERNEL.fullmatch(name.removeprefix(f"{start}{network.aux}")) for name in names))]
        aux_kernel = kernels[0] if kernels else 5
    expected = {start + name: shape for name, shape in
                expected_shapes(model.name, logits[-1], first[2], aux_kernel).items()}
    return Found(model, scope, expected, logits[-1], first[2], aux_kernel)


def is_dense_layer(shape: tuple, kernel: tuple) -> bool:
    """Whether a shape is that of a dense layer which is the same as a convolution's kernel."""
    return (len(shape) == 2 and len(kernel) == 4
            and shape == (kernel[0] * kernel[1] * kernel[2], kernel[3]))


def _fits(shape, expected):
    return shape == expected or is_dense_layer(shape, expected)


@functools.lru_cache(maxsize=32)
def expected_shapes(name: str, num_classes: int, channels: int, aux_kernel: int | None
                    ) -> dict[str, tuple]:
    """Returns the variables that a network has: their shapes by their names below its scope.

    Args:
      name: A key of `models.MODELS`, of one with a `models.SlimNetwork`.
      num_classes: Number of logits.
      channels: Of the images.
      aux_kernel: Size of its auxiliary head's second convolution; None to leave it out.
    """
    model = MODELS[name]
    options = {} if model.network.aux is None else {"create_aux_logits": aux_kernel is not None}
    size = model.image_size if aux_kernel is None else _size_of_aux_kernel(aux_kernel)
    with tf.Graph().as_default():
        with slim.arg_scope(model.network.arg_scope()):
            model.network.build(tf1.placeholder(tf.float32, [1, size, size, channels]),
                                num_classes, False, scope="s", **options)
        return {v.op.name[2:]: tuple(v.shape.as_list()) for v in tf1.global_variables()}


def _size_of_aux_kernel(kernel):
    """Returns an image size for which Inception V3's auxiliary head has this kernel."""
    return 299 - 48 * (5 - kernel)


def aux_kernel_of(image_size: int | None) -> int:
    """Returns the kernel of Inception V3's auxiliary head for images of a size.

    Its 5 x 5 pool of stride 3 works on the map that is 17 x 17 for 299 pixels; tf_slim takes
    the whole of a pooled map that is smaller than 5 x 5, or of unknown size.
    """
    if image_size is None:
        return 5
    size = image_size
    for kernel, stride in ((3, 2), (3, 1), (3, 2), (3, 1), (3, 2), (3, 2), (5, 3)):
        size = (size - kernel) // stride + 1
    return min(size, 5)
