"""Networks that tell the size of a polyp, and how they are trained."""
