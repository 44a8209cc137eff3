"""Networks that count people, by name, and trained models on disk."""
