"""The convolution of the native engine beside MinkowskiEngine's and a dense one."""
