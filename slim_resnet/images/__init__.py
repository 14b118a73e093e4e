"""Files to batches of prepared images, with the names of their classes."""

from slim_resnet.common.lazy import face

__getattr__, __dir__, __all__ = face(__name__, {
    "reading": "Batch decode find_images load_images preprocess read_images",
    "labels": "class_names read_labels",
    "labelled": "find_data",
})
