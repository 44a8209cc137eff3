"""The task of crowds: how many people are in an image, where, and how sure that is."""
