"""nets/inception_v1.py: tf_slim's network."""

from tf_slim.nets import inception_v1 as slim_inception_v1
from tf_slim.nets.inception_v1 import (  # noqa: F401
    inception_v1_arg_scope,
    inception_v1_base,
)

from slim_resnet.tf1.research.nets._stand_in import stand_in

inception_v1 = stand_in(slim_inception_v1.inception_v1, global_pool=False)
