"""A checkpoint in other forms."""

from slim_resnet.common.lazy import face

__getattr__, __dir__, __all__ = face(__name__, {
    "formats": "export_checkpoint export_frozen export_saved_model",
})
