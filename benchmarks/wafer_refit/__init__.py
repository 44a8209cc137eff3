"""The loop from classify to refit on real wafer maps: what a model learns from a review, and keeps."""
