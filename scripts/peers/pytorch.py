"""The folded network in PyTorch, from the same table of blocks; needs torch.

Tensors are ``[N, channels, height, width]``, channels last in memory.
"""

from collections.abc import Callable

import torch
from torch.nn import functional

from slim_resnet import resnet_utils
from slim_resnet.checkpoint.reader import open_checkpoint
from slim_resnet.checkpoint.recognition import recognise
from slim_resnet.inference.folded import folding


def load(checkpoint: str, precision: str, threads: int) -> Callable:
    """Returns a function from images ``[N, H, W, 3]`` to logits; see `engines`."""
    torch.set_num_threads(threads)
    dtype = getattr(torch, precision)
    with open_checkpoint(checkpoint) as opened:
        layers, logits = _layers(recognise(opened), opened.tensor, dtype)

    @torch.inference_mode()
    def run(images):
        net = torch.from_numpy(images).permute(0, 3, 1, 2).to(
            dtype, memory_format=torch.channels_last)
        for layer in layers:
            net = layer(net)
        return logits(net.float().mean((2, 3), keepdim=True))[:, :, 0, 0].numpy()
    return run


def _layers(network, read, dtype):
    """Returns the network as functions, up to the pooled features, and its logits."""
    start = f"{network.scope}/" if network.scope else ""
    blog = network.variant == "blog"

    def tensor(values, dtype=dtype):
        return torch.from_numpy(folding.rounded(values, "float32")).to(dtype)

    def norm(scope):
        return folding.affine(*(read(f"{scope}/{name}") for name in (
            "gamma", "beta", "moving_mean", "moving_variance")))

    def norm_relu(scope):
        scale, offset = (tensor(values.reshape(1, -1, 1, 1)) for values in norm(scope))
        return lambda net: torch.addcmul(offset, net, scale).relu_()

    def convolution(scope, stride=1, with_norm=False, same=False, dtype=dtype):
        scale, biases = (norm(f"{scope}/BatchNorm") if with_norm else
                         (1.0, read(f"{scope}/biases")))
        weights = read(f"{scope}/weights") * scale
        size = weights.shape[0]
        weights = tensor(weights.transpose(3, 2, 0, 1), dtype).contiguous(
            memory_format=torch.channels_last)
        biases = tensor(biases, dtype)

        def run(net):
            padding = size // 2
            if same:
                net, padding = _pad_as_same(net, size, stride, 0.0), 0
            net = functional.conv2d(net, weights, biases, stride, padding)
            return net.relu_() if with_norm else net
        return run

    def unit(scope, channels, depth, stride):
        preact = norm_relu(f"{scope}/preact")
        projection = convolution(f"{scope}/shortcut", stride) if depth != channels else None
        conv1 = convolution(f"{scope}/conv1", with_norm=True)
        conv2 = convolution(f"{scope}/conv2", stride, with_norm=True, same=blog)
        conv3 = convolution(f"{scope}/conv3", with_norm=blog)

        def run(net):
            activated = preact(net)
            shortcut = projection(activated) if projection else net[:, :, ::stride, ::stride]
            return conv3(conv2(conv1(activated))) + shortcut
        return run

    layers, channels = [], network.input_channels
    if network.root_block:
        layers += [convolution(f"{start}conv1", 2), lambda net: functional.max_pool2d(
            _pad_as_same(net, 3, 2, float("-inf")), 3, 2)]
        channels = read(f"{start}conv1/biases").size
    for block, units in resnet_utils.planned_units(network.blocks):
        for number, arguments in enumerate(units, 1):
            layers.append(unit(f"{start}{block.scope}/unit_{number}/bottleneck_v2", channels,
                               arguments["depth"], arguments["stride"]))
            channels = arguments["depth"]
    layers.append(norm_relu(f"{start}postnorm"))
    return layers, convolution(f"{start}logits", dtype=torch.float32)


def _pad_as_same(net, size, stride, value):
    """Pads as TensorFlow's SAME does, which gives the odd pixel to the end."""
    padding = []
    for length in (net.shape[3], net.shape[2]):
        total = max((-(-length // stride) - 1) * stride + size - length, 0)
        padding += [total // 2, total - total // 2]
    return functional.pad(net, padding, value=value)
