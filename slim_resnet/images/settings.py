"""How images are prepared unless something else is asked for; needs no TensorFlow."""

PREPROCESSING = ("inception", "none")
# The released checkpoints are evaluated at 299, not at their default_image_size 224.
IMAGE_SIZE = 299
BATCH_SIZE = 16
