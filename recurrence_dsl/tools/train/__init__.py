"""Trains small language models of a spec's layers: `recurrence train`."""

from .options import Task, TrainOptions
from .report import TrainReport
from .run import train

__all__ = ["Task", "TrainOptions", "TrainReport", "train"]
