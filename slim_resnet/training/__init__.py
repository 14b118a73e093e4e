"""Training and fine-tuning as slim did it."""

from slim_resnet._lazy import face

__getattr__, __dir__, __all__ = face(__name__, {
    "run": "Outcome train",
    "options": "TrainingOptions",
})
