"""nets/overfeat.py: tf_slim's network."""

from tf_slim.nets import overfeat as slim_overfeat
from tf_slim.nets.overfeat import overfeat_arg_scope  # noqa: F401

from slim_resnet.tf1.research.nets._stand_in import stand_in

overfeat = stand_in(slim_overfeat.overfeat, global_pool=False)
# tf_slim leaves it out; research/slim's is that of the paper.
overfeat.default_image_size = 231
