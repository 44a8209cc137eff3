"""One training on several processes: on the devices of a machine, or on several machines.

Every process draws the same global batch and takes its share of the items. Sums over all processes stand
where a single one has its own, so that the losses are those of one process with the whole batch.
"""
