"""From volumes to label maps, in tiles or sparse blocks, slab by slab, in bounded memory; and the run."""
