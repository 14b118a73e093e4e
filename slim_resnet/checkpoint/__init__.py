"""Checkpoints of slim's ResNet V2: open, recognise and restore them, exactly or not at all.

From a file, a folder or a released archive to logits::

    import tensorflow as tf
    from slim_resnet.checkpoint import build_from_checkpoint

    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        images = tf.compat.v1.placeholder(tf.float32, [None, 299, 299, 3])
        net, end_points = build_from_checkpoint("resnet_v2_50_2017_04_14.tar.gz", images)

What can be told of a damaged file: V1 and the index of V2 carry a checksum for each
block of a few kilobytes, the data of V2 one for each variable, ``.tar.gz`` one for
the whole. What a file says of its variables is read strictly before TensorFlow opens it
(`index`). All checksums are verified by what reads values: `restore`, `Checkpoint.tensor`,
``slim-resnet checkpoint describe`` and ``diff``; opening and `recognise` read names
and shapes only (tests/checkpoint/test_checkpoint_fuzz.py and test_checkpoint_mended_fuzz.py).

What cannot be told: wrong values that were written with right checksums, except for
NaN and infinity, which `restore` refuses; names of two variables of one shape that were
exchanged; shards of V1 files of two networks. A file lists what it holds, not what it
should, so one written without some variables is not told from damage by its format,
only by `recognise` and `restore`, which know what a network needs. TensorFlow does
not read float16 and bfloat16 from V1 files.
"""

from slim_resnet._lazy import face

__getattr__, __dir__, __all__ = face(__name__, {
    "reader": "Checkpoint open_checkpoint",
    "selection": "Selection",
    "recognition": "Recognised recognise",
    "describing": "Description describe",
    "restoring": "restore",
    "building": "build_from_checkpoint",
})
