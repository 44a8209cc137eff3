"""Counting: images and videos to a run folder."""
