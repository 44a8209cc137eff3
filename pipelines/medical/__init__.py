"""Segmentation of CT and MRI volumes, with masked pretraining by sparse convolution."""
