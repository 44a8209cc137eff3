"""Sizing: frames of polyps to a run folder."""
