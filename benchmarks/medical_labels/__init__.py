"""How well the hippocampus is segmented from few labels and from all, with and without pretraining."""
