"""Synthetic wafer maps: training data, samples and malformed files, all deterministic for a seed."""
