"""Frames of colonoscopy with polyps of known size in mm, made up by light, optics and chance."""

from pipelines.polyp.render.dataset import render_dataset
from pipelines.polyp.render.styles import STYLES

__all__ = ["render_dataset", "STYLES"]
