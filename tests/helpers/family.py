"""Networks of tf_slim beside ResNet V2, to write checkpoints of: not by what is tested."""

import functools

import tensorflow as tf
import tf_slim as slim
from tf_slim.nets import alexnet, inception_v1, inception_v2, inception_v3, overfeat, vgg
from tf_slim.nets import resnet_v1 as slim_resnet_v1

import slim_resnet.compat  # noqa: F401 (mends tf_slim)
from slim_resnet.models import MODELS

MODULES = {"vgg_a": vgg, "vgg_16": vgg, "vgg_19": vgg, "inception_v1": inception_v1,
           "inception_v2": inception_v2, "inception_v3": inception_v3, "alexnet_v2": alexnet,
           "overfeat": overfeat}


def v1_blocks(module, units=(2, 1)):
    return [module.resnet_v1_block(f"block{i + 1}", 2 ** i, number, 2 if i < len(units) - 1 else 1)
            for i, number in enumerate(units)]


@functools.cache
def v1_builder(num_classes=10, scope="resnet_v1_50", **options):
    """Returns a function that builds tf_slim's tiny ResNet V1 on images."""
    def build(images):
        with slim.arg_scope(slim_resnet_v1.resnet_arg_scope()):
            return slim_resnet_v1.resnet_v1(images, v1_blocks(slim_resnet_v1), num_classes,
                                            is_training=False, scope=scope, **options)
    return build


@functools.cache
def plain_builder(name, num_classes=7, scope=None, size=None, **options):
    """Returns a function that builds one of tf_slim's networks on images, resized."""
    module, row = MODULES[name], MODELS[name]

    def build(images):
        size_ = size or row.image_size
        images = tf.image.resize(images, [size_, size_])
        arg_scope = getattr(module, ("vgg" if module is vgg else name) + "_arg_scope")
        with slim.arg_scope(arg_scope()):
            return getattr(module, name)(images, num_classes, is_training=False,
                                         scope=scope or row.scope, **options)
    return build
