"""A numpy executor of the layout that safetensors are written in: PyTorch's, channels first."""

import numpy as np


def run(arrays, net, images):
    """Returns the logits, or the pooled features, ``[N, C]``.

    Args:
      arrays: Of the file, by name.
      net: Its record's ``network``.
      images: ``[N, channels, H, W]``.
    """
    def norm(name, x):
        weight, bias, mean, variance = (arrays[f"{name}.{part}"][:, None, None] for part in (
            "weight", "bias", "running_mean", "running_var"))
        return (x - mean) / np.sqrt(variance + 1e-5) * weight + bias

    def relu(x):
        return np.maximum(x, 0)

    def conv(name, x, stride=1, same=False):
        weight = arrays[f"{name}.weight"]
        size = weight.shape[2]
        pads = same_pads(x, size, stride) if same else [(size // 2, size // 2)] * 2
        windows = np.lib.stride_tricks.sliding_window_view(
            np.pad(x, [(0, 0), (0, 0), *pads]), (size, size), (2, 3))[:, :, ::stride, ::stride]
        x = np.einsum("nihwab,oiab->nohw", windows, weight)
        if f"{name}.bias" in arrays:
            x = x + arrays[f"{name}.bias"][:, None, None]
        return norm(f"{name}.bn", x) if f"{name}.bn.weight" in arrays else x

    x = images
    for number, (_, _, _, stride) in enumerate(net["root"]):
        x = conv(f"root.{number}", x, stride)
        x = x if net["v2"] else relu(x)
    if net["root"]:
        x = np.pad(x, [(0, 0), (0, 0), *same_pads(x, 3, 2)], constant_values=-np.inf)
        x = np.lib.stride_tricks.sliding_window_view(x, (3, 3), (2, 3))[:, :, ::2, ::2].max((4, 5))
    for block, units in enumerate(net["blocks"]):
        for unit, (ins, outs, _, stride, _) in enumerate(units):
            name = f"blocks.{block}.{unit}"
            y = relu(norm(f"{name}.preact", x)) if net["v2"] else x
            x = conv(f"{name}.shortcut", y, stride) if ins != outs else x[:, :, ::stride, ::stride]
            y = relu(conv(f"{name}.conv2", relu(conv(f"{name}.conv1", y)), stride, net["same"]))
            y = conv(f"{name}.conv3", y)
            x = x + (relu(y) if net["v2"] and net["bn3"] else y)
            x = x if net["v2"] else relu(x)
    x = (relu(norm("norm", x)) if net["v2"] else x).mean((2, 3))
    return x @ arrays["fc.weight"].T + arrays["fc.bias"] if net["classes"] else x


def same_pads(x, size, stride):
    """Returns what TensorFlow's SAME puts before and after, in height and in width."""
    totals = [max((-(-n // stride) - 1) * stride + size - n, 0) for n in x.shape[2:]]
    return [(total // 2, total - total // 2) for total in totals]
