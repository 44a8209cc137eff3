"""Whether feature gates and gradient routing help, on a small public task: digits among clutter."""
