"""Weights: published checkpoints into compiled layers and models, and back."""

from .checkpoint import convert, model_from, open_model, read_tensors, save, save_as
from .mapping import Entry, Format, formats, read_format
from .transfer import Report, export, load

__all__ = [
    "Entry",
    "Format",
    "Report",
    "convert",
    "export",
    "formats",
    "load",
    "model_from",
    "open_model",
    "read_format",
    "read_tensors",
    "save",
    "save_as",
]
