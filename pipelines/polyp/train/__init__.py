"""From frames with known sizes to a model folder."""
