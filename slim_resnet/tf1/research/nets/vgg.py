"""nets/vgg.py: tf_slim's networks."""

from tf_slim.nets import vgg
from tf_slim.nets.vgg import vgg_arg_scope  # noqa: F401

from slim_resnet.tf1.research.nets._stand_in import stand_in

_LACKING = {"fc_conv_padding": "VALID", "global_pool": False}

vgg_a = stand_in(vgg.vgg_a, **_LACKING)
vgg_16 = stand_in(vgg.vgg_16, **_LACKING)
vgg_19 = stand_in(vgg.vgg_19, **_LACKING)
vgg_d = vgg_16
vgg_e = vgg_19
