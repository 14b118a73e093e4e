"""TensorFlow's kernels and graph rewrites, where its public names do not reach them."""

import tensorflow as tf
from tensorflow.core.protobuf import rewriter_config_pb2
from tensorflow.python.client import timeline
from tensorflow.python.framework import op_def_registry
from tensorflow.python.grappler import tf_optimizer
from tensorflow.python.util import _pywrap_util_port

tf1 = tf.compat.v1


def allow_bfloat16(config):
    """Turns TensorFlow's own mixed-precision rewrite on in a ``ConfigProto``."""
    options = config.graph_options.rewrite_options
    options.auto_mixed_precision_onednn_bfloat16 = rewriter_config_pb2.RewriterConfig.ON


# Ops that TensorFlow fuses into, and what it puts in their place where oneDNN is on.
_ONEDNN_OPS = {"_FusedConv2D": "_MklNativeFusedConv2D",
               "_FusedDepthwiseConv2dNative": "_MklNativeFusedDepthwiseConv2dNative"}
_OFF = rewriter_config_pb2.RewriterConfig.OFF


def unrewritten(streams=1):
    """Returns a ``ConfigProto`` for a graph that is not to be rewritten any more.

    Its ops run one after the other, each on all threads: two at a time would each wait for
    the threads of the other.

    Args:
      streams: Calls that run at a time; of several, each is on one thread.
    """
    config = tf1.ConfigProto(inter_op_parallelism_threads=streams, use_per_session_threads=True,
                             intra_op_parallelism_threads=int(streams > 1))
    config.graph_options.rewrite_options.disable_meta_optimizer = True
    config.graph_options.optimizer_options.opt_level = tf1.OptimizerOptions.L0
    return config


def fuse(graph_def, fetches):
    """Runs TensorFlow's fusion of convolutions ahead of time, and none of its other rewrites.

    TensorFlow would have oneDNN reorder weights once only if they are constants of the
    graph, which costs several copies of them. Here they may be variables that never
    change: the ops of oneDNN are written as TensorFlow itself writes them, and told so.

    Args:
      graph_def: A ``GraphDef`` whose variables are not assigned to once it has run.
      fetches: Names of nodes that are going to be fetched.

    Returns:
      Another ``GraphDef``.
    """
    config = tf1.ConfigProto()
    options = config.graph_options.rewrite_options
    for field in options.DESCRIPTOR.fields:
        if field.enum_type and field.enum_type.name == "Toggle":
            setattr(options, field.name, _OFF)
    options.remapping = rewriter_config_pb2.RewriterConfig.ON
    options.memory_optimization = rewriter_config_pb2.RewriterConfig.NO_MEM_OPT
    options.meta_optimizer_iterations = rewriter_config_pb2.RewriterConfig.ONE
    options.min_graph_nodes = -1
    for node in graph_def.node:
        node.device = "/job:localhost/replica:0/task:0/device:CPU:0"
    with tf.Graph().as_default() as graph:
        tf.import_graph_def(graph_def, name="")
        meta_graph = tf1.train.export_meta_graph(graph=graph, graph_def=graph_def)
    meta_graph.collection_def["train_op"].node_list.value.extend(fetches)
    # The optimiser makes a device. If that were the process's first, TensorFlow would take
    # its number of threads for all sessions to come, and not TF_NUM_INTRAOP_THREADS.
    with tf1.Session(graph=graph):
        fused = tf_optimizer.OptimizeGraph(config, meta_graph, verbose=False)
    if onednn_enabled():
        for node in fused.node:
            definition = op_def_registry.get(_ONEDNN_OPS.get(node.op, ""))
            known = {attribute.name for attribute in definition.attr} if definition else ()
            if "is_filter_const" in known:
                node.op = definition.name
                for name in set(node.attr) - known:  # TensorFlow 2.12's have fewer
                    del node.attr[name]
                node.attr["is_filter_const"].b = True
                node.attr["_kernel"].s = b"MklNameChangeOp"
    return fused


def onednn_enabled():
    """Whether this process runs its CPU kernels through oneDNN."""
    return bool(_pywrap_util_port.IsMklEnabled())


def chrome_trace(run_metadata):
    """Returns a ``RunMetadata``'s steps as Chrome trace JSON text."""
    return timeline.Timeline(run_metadata.step_stats).generate_chrome_trace_format()
