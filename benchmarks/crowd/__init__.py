"""How well and how fast networks count people, all trained from nothing on the same images."""
