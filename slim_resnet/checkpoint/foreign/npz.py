"""``.npz`` files of ``slim-resnet export``, or of anybody: an array for each variable."""

from slim_resnet.checkpoint.foreign.values import METADATA, Foreign
from slim_resnet.common import npz


def read(path: str) -> Foreign:
    """Reads all arrays under their names.

    Raises:
      SlimResnetError: The file is damaged.
    """
    with npz.opened_zip(path, "no .npz file") as archive:
        names = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
        npz.check_size(archive, sum(info.file_size for info in names.values()), "its arrays")
        return Foreign("npz", {name: npz.read_array(archive, info, name)
                               for name, info in names.items() if name != METADATA}, {})
