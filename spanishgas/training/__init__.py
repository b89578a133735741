"""Training: customers at risk, what became of them, and a split that does not look back."""

from spanishgas.training.dataset import TrainingSetResult, build_training_set
from spanishgas.training.split import training_as_of

__all__ = ["TrainingSetResult", "build_training_set", "training_as_of"]
