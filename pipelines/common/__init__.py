"""What every task shares: errors, models and runs on disk, hardware."""
