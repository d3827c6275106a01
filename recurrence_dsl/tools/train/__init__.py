"""Trains small language models of a spec's layers: `recurrence train`."""

from .options import Task, TrainOptions
from .run import TrainReport, train

__all__ = ["Task", "TrainOptions", "TrainReport", "train"]
