"""Files to batches of prepared images, with the names of their classes."""

from slim_resnet._lazy import face

__getattr__, __dir__, __all__ = face(__name__, {
    "finding": "find_images",
    "decoding": "decode",
    "preparation": "preprocess",
    "reading": "Batch load_images read_images read_source",
    "settings": "Preprocessing",
    "labels": "class_names read_labels",
    "labelled": "find_data",
})
