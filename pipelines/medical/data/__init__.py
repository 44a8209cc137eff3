"""Volumes from files, and label maps into them."""
