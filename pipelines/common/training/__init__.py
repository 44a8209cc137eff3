"""What every training needs: a schedule, an optimiser, a moving average, a checkpoint and a log."""
