"""Masked pretraining of an encoder on volumes without labels; `run.run` does all of it."""
