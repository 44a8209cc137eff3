"""From a labelled data set to a plan: what the images are like, and what follows from that."""
