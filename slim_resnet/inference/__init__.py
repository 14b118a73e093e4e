"""A checkpoint at work: classes, layers and scores, and its folded, fastest form."""

from slim_resnet._lazy import face

__getattr__, __dir__, __all__ = face(__name__, {
    "protocol": "ImageNetwork ScoringNetwork",
    "network": "BuiltNetwork Network open_network",
    "classification": "Result classify",
    "evaluation": "Evaluation evaluate",
    "features": "write_features",
    "loaded": "LoadedNetwork load",
    "answers": "Features Results",
    "folded.model": "InferenceModel Outputs",
})
