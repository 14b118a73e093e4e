"""Checkpoints of slim's ResNet V2: open, recognise and restore them, exactly or not at all.

From a file, a folder or a released archive to logits::

    import tensorflow as tf
    from slim_resnet.checkpoint import build_from_checkpoint

    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        images = tf.compat.v1.placeholder(tf.float32, [None, 299, 299, 3])
        net, end_points = build_from_checkpoint("resnet_v2_50_2017_04_14.tar.gz", images)

What can be told of a damaged file: V1 and the index of V2 carry a checksum for each
block of a few kilobytes, the data of V2 one for each variable, ``.tar.gz`` one for
the whole. All are verified by what reads values: `restore`, `Checkpoint.tensor`,
``slim-resnet checkpoint describe`` and ``diff``. Opening and `recognise` read names
and shapes only. A file written whole by a broken or hostile program has right
checksums, and wrong values in it are not told from right ones, except for NaN and
infinity.
"""

from slim_resnet.checkpoint_reader import Checkpoint, open_checkpoint
from slim_resnet.recognise import Recognised, recognise
from slim_resnet.restore import build_from_checkpoint, restore

__all__ = ["Checkpoint", "Recognised", "build_from_checkpoint", "open_checkpoint", "recognise",
           "restore"]
