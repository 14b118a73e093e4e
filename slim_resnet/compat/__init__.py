"""The one room that knows private names of TensorFlow and tf-slim.

``import_hooks`` needs neither, and is there before they are imported. Asking for any
other name imports `slim`, which mends tf_slim, and `kernels`.
"""

from slim_resnet._lazy import face

__getattr__, __dir__, __all__ = face(__name__, {
    "slim": "collect_named_outputs convert_collection_to_dict keras_convolutions last_dimension",
    "records": "record_reader",
    "kernels": "allow_bfloat16 chrome_trace fuse onednn_enabled unrewritten",
})
