"""The table of TensorFlow 1.15's names: what stands where, as data.

A path is written without its leading ``tensorflow.``. A source is the dotted path of a module,
or of an attribute of one, whose names show at the path; the first source that has a name wins.
Shorthands: ``tf1`` is ``tensorflow.compat.v1``, ``keras1`` and what follows it is TensorFlow 1's
Keras (`slim_resnet.tf1.sources` says where that is), ``own`` is `slim_resnet.tf1.stand_ins`, our
own stand-ins. Names of ``tensorflow.python`` modules are in ``names_python.txt``, public names of
``contrib`` that nothing ships any more in ``names_contrib.txt``.

`slim_resnet.tf1.facade` makes modules of it; nothing here imports anything.
"""

VERSION = "1.15.5"

_LAYERS = tuple(f"tf_slim.layers.{name}" for name in (
    "layers", "initializers", "regularizers", "normalization", "optimizers", "summaries",
    "rev_block_lib"))
_TENSORS = ("tensorflow.python.framework.tensor_util", "tensorflow.python.framework.smart_cond")
_FRAMEWORK = ("tf_slim.ops.arg_scope", "tf_slim.ops.variables", "tf_slim.ops.framework_ops",
              *_TENSORS)
_DATA = ("own.data", "tf1.data.experimental", "tf1.data")
_CELLS = ("keras1.cells", "tensorflow.python.ops.rnn_cell_impl")

# Modules of `tensorflow.contrib` and their python.* paths.
CONTRIB = {
    "slim": ("tf_slim",),
    "slim.nets": ("tf_slim.nets",),
    "slim.data": ("tf_slim.data",),
    "slim.python": (),
    "slim.python.slim": ("tf_slim",),
    "slim.python.slim.nets": ("tf_slim.nets",),
    "slim.python.slim.data": ("tf_slim.data",),
    **{f"slim.python.slim.{name}": (f"tf_slim.{name}",)
       for name in ("learning", "evaluation", "queues", "summaries", "model_analyzer")},
    "layers": _LAYERS,
    "layers.python": (),
    "layers.python.layers": (*_LAYERS, "tf_slim.layers"),
    "layers.python.ops": ("tf_slim.layers",),
    "layers.python.layers.layers": ("tf_slim.layers.layers",),
    **{f"layers.python.layers.{name}": (f"tf_slim.layers.{name}",)
       for name in ("initializers", "regularizers", "normalization", "optimizers", "summaries",
                    "rev_block_lib", "utils")},
    "framework": _FRAMEWORK,
    "framework.python": (),
    "framework.python.framework": _TENSORS,
    "framework.python.framework.tensor_util": _TENSORS,
    "framework.python.framework.checkpoint_utils": ("tf1.train",),
    "framework.python.ops": _FRAMEWORK,
    "framework.python.ops.arg_scope": ("tf_slim.ops.arg_scope",),
    "framework.python.ops.variables": ("tf_slim.ops.variables",),
    "framework.python.ops.ops": ("tf_slim.ops.framework_ops",),
    "framework.python.ops.sort_ops": ("tensorflow.python.ops.sort_ops",),
    "framework.python.ops.script_ops": ("tf1",),
    "training": ("own.hparam", "tf_slim.training.training", "tf_slim.training.evaluation"),
    "training.python": (),
    "training.python.training": ("tf_slim.training",),
    "training.python.training.hparam": ("own.hparam",),
    "training.python.training.training": ("tf_slim.training.training",),
    "training.python.training.evaluation": ("tf_slim.training.evaluation",),
    "metrics": ("tf_slim.metrics",),
    "metrics.python": (),
    "metrics.python.ops": ("tf_slim.metrics",),
    "metrics.python.ops.metric_ops": ("tf_slim.metrics.metric_ops",),
    "metrics.python.ops.histogram_ops": ("tf_slim.metrics.histogram_ops",),
    "metrics.python.ops.confusion_matrix_ops": ("tensorflow.python.ops.confusion_matrix",),
    "metrics.python.ops.set_ops": ("tf1.sets",),
    "metrics.python.metrics": ("tf_slim.metrics.classification",),
    "metrics.python.metrics.classification": ("tf_slim.metrics.classification",),
    "losses": ("tf_slim.losses",),
    "losses.metric_learning": ("tf_slim.losses.metric_learning",),
    "losses.python": (),
    "losses.python.losses": ("tf_slim.losses.loss_ops",),
    "losses.python.losses.loss_ops": ("tf_slim.losses.loss_ops",),
    "losses.python.metric_learning": ("tf_slim.losses.metric_learning",),
    "losses.python.metric_learning.metric_loss_ops": ("tf_slim.losses.metric_learning",),
    "data": _DATA,
    "data.python": (),
    "data.python.ops": _DATA,
    **{f"data.python.ops.{name}": _DATA for name in (
        "batching", "counter", "enumerate_ops", "error_ops", "get_single_element", "grouping",
        "interleave_ops", "iterator_ops", "parsing_ops", "prefetching_ops", "random_ops",
        "readers", "resampling", "scan_ops", "shuffle_ops", "sliding", "unique", "writers")},
    "image": ("own.image",),
    "image.python": (),
    "image.python.ops": ("own.image",),
    "image.python.ops.image_ops": ("own.image",),
    "image.python.ops.distort_image_ops": ("own.image",),
    "lookup": ("own.lookup", "tensorflow.python.ops.lookup_ops"),
    "lookup.lookup_ops": ("own.lookup", "tensorflow.python.ops.lookup_ops"),
    "rnn": ("own.rnn", *_CELLS),
    "rnn.python": (),
    "rnn.python.ops": ("own.rnn",),
    "rnn.python.ops.rnn": ("own.rnn",),
    "rnn.python.ops.rnn_cell": ("own.rnn", *_CELLS),
    "rnn.python.ops.core_rnn": ("own.rnn",),
    "rnn.python.ops.core_rnn_cell": ("own.rnn", *_CELLS),
    "rnn.python.ops.core_rnn_cell_impl": ("own.rnn", *_CELLS),
    "util": ("tensorflow.python.framework.tensor_util",),
    # Thin names over what TensorFlow still ships.
    "autograph": ("tf1.autograph",),
    "cluster_resolver": ("tf1.distribute.cluster_resolver",),
    "deprecated": (),
    "distribute": ("tf1.distribute", "tf1.distribute.experimental"),
    "distributions": ("tf1.distributions",),
    "eager": ("tf1",),
    "eager.python": (),
    "eager.python.tfe": ("tf1",),
    "estimator": ("keras1.estimator.experimental", "keras1.estimator"),
    "keras": ("keras1", "keras1.src"),
    "keras.python": (),
    "keras.python.keras": ("keras1",),
    "keras.api": (),
    "keras.api.keras": ("keras1",),
    "lite": ("tf1.lite",),
    "lite.python": ("tensorflow.lite.python",),
    "mixed_precision": ("tf1.mixed_precision", "tf1.train.experimental"),
    "nn": ("tf1.nn",),
    "opt": (),
    "saved_model": ("tf1.saved_model",),
    "signal": ("tf1.signal",),
    "staging": ("tensorflow.python.ops.data_flow_ops",),
    "stateless": ("tf1.random.experimental", "tensorflow.python.ops.stateless_random_ops"),
    "summary": ("tensorflow.python.ops.summary_ops_v2",),
    "tensorboard": (),
    "tensorboard.plugins": (),
    "tensorboard.plugins.projector": ("tensorboard.plugins.projector",),
    "tfprof": ("tf1.profiler",),
    "tpu": ("tf1.tpu", "keras1.estimator.tpu"),
}

# Packages of contrib that nothing ships any more, and what does their work today.
LOST_CONTRIB = {
    "bayesflow": "tensorflow_probability", "bigtable": "", "boosted_trees": "",
    "checkpoint": "tf.train.Checkpoint", "cloud": "", "compiler": "tf.xla.experimental",
    "constrained_optimization": "", "copy_graph": "tf.import_graph_def", "crf": "",
    "cudnn_rnn": "tf.keras.layers.CuDNNLSTM", "decision_trees": "", "factorization": "",
    "feature_column": "tf.feature_column", "ffmpeg": "tensorflow_io", "fused_conv": "",
    "gan": "tensorflow_gan", "graph_editor": "tf.import_graph_def", "grid_rnn": "",
    "hadoop": "tensorflow_io", "hooks": "tf.train", "ignite": "tensorflow_io",
    "input_pipeline": "tf.data", "integrate": "scipy.integrate", "kafka": "tensorflow_io",
    "kernel_methods": "", "kfac": "kfac", "kinesis": "tensorflow_io", "labeled_tensor": "",
    "learn": "tf.estimator", "legacy_seq2seq": "", "libsvm": "", "linear_optimizer": "",
    "model_pruning": "tensorflow_model_optimization", "nccl": "tf.distribute",
    "nearest_neighbor": "", "optimizer_v2": "tf.train", "periodic_resample": "",
    "predictor": "tf.saved_model.loader", "proto": "tf.io.decode_proto", "quantization": "",
    "quantize": "tensorflow_model_optimization", "receptive_field": "slim-resnet end-points",
    "recurrent": "", "reduce_slice_ops": "", "remote_fused_graph": "", "resampler": "",
    "rpc": "", "seq2seq": "", "session_bundle": "tf.saved_model", "solvers": "",
    "sparsemax": "", "specs": "", "stat_summarizer": "", "tensor_forest": "",
    "tensorrt": "tensorflow.python.compiler.tensorrt", "testing": "", "text": "",
    "timeseries": "", "verbs": "",
}

# Modules that are not contrib's, where compat.v1 alone does not do.
MODULES = {
    "": ("own.tensorflow", "tf1"),
    "app": ("tf1.app",),
    "app.flags": ("own.flags", "tf1.app.flags"),
    "flags": ("own.flags", "tf1.flags"),
    "compat": ("tf1.compat",),
    "compat.v2": ("tensorflow",),
    "core": ("tensorflow.core",),
    "examples": (),
    "examples.tutorials": (),
    "examples.tutorials.mnist": (),
    "examples.tutorials.mnist.input_data": ("own.mnist",),
    "keras": ("keras1", "keras1.src"),
    "layers": ("keras1.layers1",),
    "nn": ("tf1.nn",),
    "nn.rnn_cell": _CELLS,
    "estimator": ("keras1.estimator",),
    "python": ("tensorflow.python",),
    "python.estimator": ("tensorflow_estimator.python.estimator",),
    "python.keras": ("keras1", "keras1.src", "tensorflow.python.keras"),
    "python.layers": ("tensorflow.python.layers",),
    **{f"python.layers.{name}": ("keras1.layers1", f"tensorflow.python.layers.{name}")
       for name in ("layers", "convolutional", "core", "normalization", "pooling")},
    "python.layers.base": ("keras1.layers1", "tensorflow.python.layers.base"),
    "python.ops.rnn_cell": ("own.rnn", *_CELLS),
    "python.ops.rnn_cell_impl": ("own.rnn", *_CELLS),
    "python.platform.flags": ("own.flags", "tensorflow.python.platform.flags"),
    "python.platform.app": ("tensorflow.python.platform.app",),
    "python.platform.gfile": ("tensorflow.python.platform.gfile",),
    "python.framework.tensor_shape": ("tensorflow.python.framework.tensor_shape",),
    "python.training.tracking.base": ("tensorflow.python.trackable.base",),
    "python.training.tracking.tracking": ("tensorflow.python.trackable.autotrackable",
                                          "tensorflow.python.trackable.resource"),
    "python.training.checkpointable.base": ("tensorflow.python.trackable.base",),
    **{f"contrib.{path}": sources for path, sources in CONTRIB.items()},
    "contrib": (),
}

# Single names: the dotted path of what stands for them.
NAMES = {
    "contrib.framework.init_from_checkpoint": "tf1.train.init_from_checkpoint",
    "contrib.framework.list_variables": "tf1.train.list_variables",
    "contrib.framework.load_checkpoint": "tf1.train.load_checkpoint",
    "contrib.framework.load_variable": "tf1.train.load_variable",
    "contrib.framework.is_tensor": "tf1.is_tensor",
    "contrib.framework.get_name_scope": "tensorflow.python.framework.ops.get_name_scope",
    "contrib.framework.argsort": "tf1.argsort",
    "contrib.framework.sort": "tf1.sort",
    "contrib.framework.py_func": "tf1.py_func",
    "contrib.framework.nest": "tensorflow.python.util.nest",
    "contrib.framework.deprecated": "tensorflow.python.util.deprecation.deprecated",
    "contrib.framework.deprecated_args": "tensorflow.python.util.deprecation.deprecated_args",
    "contrib.framework.deprecated_arg_values":
        "tensorflow.python.util.deprecation.deprecated_arg_values",
    "contrib.framework.assert_same_float_dtype": "tf1.debugging.assert_same_float_dtype",
    "contrib.framework.assert_scalar": "tf1.assert_scalar",
    "contrib.framework.convert_to_tensor_or_sparse_tensor":
        "tf1.convert_to_tensor_or_sparse_tensor",
    "contrib.framework.is_numeric_tensor": "tf1.debugging.is_numeric_tensor",
    "contrib.framework.is_non_decreasing": "tf1.is_non_decreasing",
    "contrib.framework.is_strictly_increasing": "tf1.is_strictly_increasing",
    "contrib.framework.remove_squeezable_dimensions":
        "tensorflow.python.ops.confusion_matrix.remove_squeezable_dimensions",
    "contrib.framework.get_graph_from_inputs":
        "tensorflow.python.framework.ops._get_graph_from_inputs",
    "contrib.framework.prepend_name_scope": "tensorflow.python.framework.ops.prepend_name_scope",
    "contrib.framework.strip_name_scope": "tensorflow.python.framework.ops.strip_name_scope",
    "contrib.framework.RecordInput": "tensorflow.python.ops.data_flow_ops.RecordInput",
    "contrib.framework.TensorSpec": "tensorflow.TensorSpec",
    "contrib.framework.BoundedTensorSpec":
        "tensorflow.python.framework.tensor_spec.BoundedTensorSpec",
    "contrib.framework.CriticalSection": "tf1.CriticalSection",
    **{f"contrib.framework.convolutional_{name}":
       f"tensorflow.python.ops.init_ops.convolutional_{name}" for name in (
           "delta_orthogonal", "orthogonal_1d", "orthogonal_2d", "orthogonal_3d")},
    "contrib.layers.feature_column": "tf1.feature_column",
    # Modules that showed through contrib.slim, as it imported all of other modules.
    **{f"contrib.slim.{name}": f"tensorflow.python.{package}.{name}" for package, name in (
        ("ops", "variable_scope"), ("ops", "nn"), ("ops", "nn_ops"), ("ops", "string_ops"),
        ("ops", "sparse_ops"), ("ops", "data_flow_ops"), ("ops", "embedding_ops"),
        ("framework", "constant_op"), ("framework", "tensor_shape"), ("util", "nest"),
        ("training", "training_util"))},
    "contrib.slim.variables": "tf_slim.ops.variables",
    "contrib.slim.tf_variables": "tensorflow.python.ops.variables",
    "contrib.slim.loss_ops": "tf_slim.losses.loss_ops",
    "contrib.slim.metric_ops": "tf_slim.metrics.metric_ops",
    "contrib.layers.safe_embedding_lookup_sparse": "tf1.nn.safe_embedding_lookup_sparse",
    "contrib.layers.summaries": "tf_slim.layers.summaries",
    "contrib.metrics.confusion_matrix": "tf1.confusion_matrix",
    **{f"contrib.metrics.set_{name}": f"tf1.sets.{name}"
       for name in ("difference", "intersection", "size", "union")},
    "contrib.util.make_tensor_proto": "tf1.make_tensor_proto",
    "contrib.util.make_ndarray": "tf1.make_ndarray",
    "contrib.util.ops_used_by_graph_def":
        "tensorflow.python.framework.meta_graph.ops_used_by_graph_def",
    "contrib.util.stripped_op_list_for_graph":
        "tensorflow.python.framework.meta_graph.stripped_op_list_for_graph",
    "contrib.deprecated.scalar_summary": "tensorflow.python.ops.logging_ops.scalar_summary",
    "contrib.deprecated.histogram_summary":
        "tensorflow.python.ops.logging_ops.histogram_summary",
    "contrib.deprecated.image_summary": "tensorflow.python.ops.logging_ops.image_summary",
    "contrib.deprecated.audio_summary": "tensorflow.python.ops.logging_ops.audio_summary",
    "contrib.deprecated.merge_summary": "tensorflow.python.ops.logging_ops.merge_summary",
    "contrib.deprecated.merge_all_summaries":
        "tensorflow.python.ops.logging_ops.merge_all_summaries",
    "python.client.device_lib": "tensorflow.python.client.device_lib",
    "python.tools.freeze_graph": "tensorflow.python.tools.freeze_graph",
    "python.tools.inspect_checkpoint": "tensorflow.python.tools.inspect_checkpoint",
    "python.layers.base.Layer": "keras1.layers1.Layer",
}

# Arguments that count or measure: given 3.5, TensorFlow or its layers silently take 3.
WHOLE = {
    **{name: ("shape",) for name in ("zeros", "ones", "constant")},
    **{f"nn.{name}": ("ksize", "strides") for name in ("max_pool", "avg_pool")},
    **{f"nn.{name}": ("strides",) for name in (
        "conv2d", "depthwise_conv2d", "depthwise_conv2d_native", "conv2d_transpose", "conv3d",
        "separable_conv2d")},
    **{name: ("block_size",) for name in ("space_to_depth", "depth_to_space")},
    "nn.local_response_normalization": ("depth_radius",),
    "nn.lrn": ("depth_radius",),
    "layers.dense": ("units",),
    **{f"layers.{name}": ("filters", "kernel_size", "strides") for name in (
        "conv1d", "conv2d", "conv3d", "conv2d_transpose", "conv3d_transpose",
        "separable_conv1d", "separable_conv2d")},
    **{f"layers.{name}": ("pool_size", "strides") for name in (
        "average_pooling1d", "average_pooling2d", "average_pooling3d", "max_pooling1d",
        "max_pooling2d", "max_pooling3d")},
    **{f"contrib.{package}.{name}": ("num_outputs", "kernel_size", "stride")
       for package in ("slim", "layers") for name in (
           "conv1d", "conv2d", "conv3d", "convolution", "convolution1d", "convolution2d",
           "convolution3d", "conv2d_transpose", "convolution2d_transpose", "conv3d_transpose",
           "separable_conv2d", "separable_convolution2d", "fully_connected")},
    **{f"contrib.{package}.{name}": ("kernel_size", "stride")
       for package in ("slim", "layers") for name in (
           "avg_pool2d", "avg_pool3d", "max_pool2d", "max_pool3d")},
    **{f"{module}.{cell}": ("num_units", "num_proj") for module in (
        "nn.rnn_cell", "python.ops.rnn_cell", "python.ops.rnn_cell_impl", "contrib.rnn",
        *(f"contrib.rnn.python.ops.{name}" for name in (
            "rnn_cell", "core_rnn_cell", "core_rnn_cell_impl")))
       for cell in ("BasicRNNCell", "GRUCell", "BasicLSTMCell", "LSTMCell")},
}

# Networks whose third positional argument was global_pool in TensorFlow 1.0, is_training since.
REORDERED = tuple(f"contrib.{path}.{version}.{version}_{depth}"
                  for path in ("slim.nets", "slim.python.slim.nets")
                  for version in ("resnet_v1", "resnet_v2") for depth in (50, 101, 152, 200))

# Under these paths a submodule that no table names is the like-named one of the sources.
OPEN = ("python", "keras", "core", "estimator", "compat.v2", "contrib.keras", "contrib.tpu",
        "contrib.lite.python", "contrib.slim.nets", "contrib.slim.python.slim.nets",
        "contrib.slim.data", "contrib.slim.python.slim.data")

# Names that went before TensorFlow 1.15 and what took their place.
BEFORE_1_15 = {
    "mul": "tf.multiply", "sub": "tf.subtract", "neg": "tf.negative", "pack": "tf.stack",
    "unpack": "tf.unstack", "select": "tf.where", "inv": "tf.reciprocal",
    "batch_matmul": "tf.matmul", "complex_abs": "tf.abs", "concat_v2": "tf.concat",
    "listdiff": "tf.setdiff1d", "batch_cholesky": "tf.cholesky",
    "merge_all_summaries": "tf.summary.merge_all", "merge_summary": "tf.summary.merge",
    "scalar_summary": "tf.summary.scalar", "histogram_summary": "tf.summary.histogram",
    "image_summary": "tf.summary.image", "audio_summary": "tf.summary.audio",
    "train.SummaryWriter": "tf.summary.FileWriter", "nn.rnn": "tf.nn.static_rnn",
    "nn.bidirectional_rnn": "tf.nn.static_bidirectional_rnn", "nn.seq2seq": "tf.contrib.seq2seq",
    "python.ops.seq2seq": "tf.contrib.legacy_seq2seq",
}
