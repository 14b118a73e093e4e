"""Runs the post's script, which it is given, but for the steps' arithmetic; compares its graph.

Prints the lines of the script, then the number of its graph's nodes.
"""

import runpy
import sys

import tensorflow as tf
import tf_slim as slim

from slim_resnet import blog

steps = []
tf.Session.run = lambda self, fetches, *args, **kwargs: steps.append(fetches)
runpy.run_path(sys.argv[1], run_name="__main__")
assert len(steps) == 1 + 110
script_nodes = list(tf.get_default_graph().as_graph_def().node)

with tf.Graph().as_default() as graph:
    inputs = tf.random_uniform([32, 224, 224, 3])
    with slim.arg_scope(blog.resnet_arg_scope(is_training=False)):
        blog.resnet_v2_152(inputs, 1000)
    tf.global_variables_initializer()
blog_nodes = list(graph.as_graph_def().node)

assert [node.name for node in script_nodes] == [node.name for node in blog_nodes]
for ours, theirs in zip(blog_nodes, script_nodes):
    assert ours == theirs, (ours, theirs)
print(len(script_nodes), "nodes")
