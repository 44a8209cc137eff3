"""Where the lesion is in a frame: a small network trained on frames with masks, and what it finds."""
