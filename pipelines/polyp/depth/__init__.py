"""How far away what a frame shows is: a small network trained on frames with maps of depth."""
