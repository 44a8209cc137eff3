"""Wafer maps: accuracy, speed, memory and scaling beside a dense CNN on binned maps."""
