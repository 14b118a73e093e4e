"""Tells what a foreign file is by its first bytes, and reads it."""

import zipfile

from slim_resnet.checkpoint.foreign import keras, npz, safetensors
from slim_resnet.checkpoint.foreign.values import Foreign, checked
from slim_resnet.errors import SlimResnetError


def read(path: str) -> Foreign | None:
    """Returns a network's variables from a file of another program.

    Args:
      path: ``.npz``, ``.safetensors``, ``.keras`` or ``.h5``, whatever its name.

    Returns:
      A `Foreign`; None if the file begins like none of these.

    Raises:
      SlimResnetError: It is damaged, or holds another network.
    """
    with open(path, "rb") as file:
        start = file.read(9)
    if start.startswith(b"\x89HDF"):
        return checked(path, keras.read_h5(path))
    if start.startswith(b"PK\3\4"):
        return checked(path, _read_zip(path))
    if safetensors.begins(start) or path.endswith(".safetensors"):
        return checked(path, safetensors.read(path))
    # A version of the format, then who wrote it.
    if path.endswith(".onnx") or start[:1] == b"\x08" and start[2:3] == b"\x12":
        raise SlimResnetError(f"{path}: an ONNX model, which slim-resnet export writes folded: "
                              "what its variables were cannot be told any more; take the "
                              "checkpoint that it was made of")
    return None


def _read_zip(path):
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    # Whatever zipfile raises over foreign bytes is found, and told, by who reads it.
    except Exception:
        names = []
    if keras.WEIGHTS in names:
        return keras.read_archive(path)
    if names and not any(name.endswith(".npy") for name in names):
        raise SlimResnetError(f"{path}: a zip file that is neither .npz nor .keras")
    return npz.read(path)
