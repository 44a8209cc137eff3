"""Overlap and volume from counts of voxels. Numbers that the empty rules leave open are None."""

from __future__ import annotations


def dice(both: int, predicted: int, truth: int) -> float | None:
    """Twice the voxels in both masks over the sum of the two (Dice, 1945); None if both are empty."""
    return 2 * both / (predicted + truth) if predicted + truth else None


def iou(both: int, predicted: int, truth: int) -> float | None:
    """The voxels in both masks over those in either (Jaccard, 1912); None if both are empty."""
    either = predicted + truth - both
    return both / either if either else None


def volume_error(predicted: float, truth: float) -> float | None:
    """(predicted - truth) / truth: -1 for a structure that was missed, None where the truth is empty."""
    return (predicted - truth) / truth if truth else None
