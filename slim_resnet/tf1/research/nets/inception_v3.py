"""nets/inception_v3.py: tf_slim's network."""

from tf_slim.nets import inception_v3 as slim_inception_v3
from tf_slim.nets.inception_v3 import (  # noqa: F401
    inception_v3_arg_scope,
    inception_v3_base,
)

from slim_resnet.tf1.research.nets._stand_in import stand_in

inception_v3 = stand_in(slim_inception_v3.inception_v3, global_pool=False)
