"""A checkpoint in other forms: SavedModel, frozen GraphDef, V1, V2, .npz and ONNX.

A new form is a file here and a row of `formats.FORMATS`.
"""

from slim_resnet._lazy import face

__getattr__, __dir__, __all__ = face(__name__, {
    "formats": "FORMATS export_checkpoint export_frozen export_saved_model",
})
