"""A step of masked pretraining with true sparse convolution, and with the dense simulation of it."""
