"""nets/inception_v2.py: tf_slim's network."""

from tf_slim.nets import inception_v2 as slim_inception_v2
from tf_slim.nets.inception_v2 import (  # noqa: F401
    inception_v2_arg_scope,
    inception_v2_base,
)

from slim_resnet.tf1.research.nets._stand_in import stand_in

inception_v2 = stand_in(slim_inception_v2.inception_v2, global_pool=False)
