"""Networks by name, and trained models on disk."""
