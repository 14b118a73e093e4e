"""nets/resnet_utils.py: this package's."""

from slim_resnet.resnet_utils import (  # noqa: F401
    Block,
    conv2d_same,
    resnet_arg_scope,
    stack_blocks_dense,
    subsample,
)
