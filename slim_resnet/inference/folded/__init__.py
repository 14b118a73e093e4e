"""The fastest form of a network: batch norms folded into convolutions, layers fused."""

from slim_resnet._lazy import face

__getattr__, __dir__, __all__ = face(__name__, {
    "model": "InferenceModel Outputs",
})
