"""nets/alexnet.py: tf_slim's network."""

from tf_slim.nets import alexnet
from tf_slim.nets.alexnet import alexnet_v2_arg_scope  # noqa: F401

from slim_resnet.tf1.research.nets._stand_in import stand_in

alexnet_v2 = stand_in(alexnet.alexnet_v2, global_pool=False)
