"""Wafer maps of classes left out of training: how well each score tells them from the known ones."""
