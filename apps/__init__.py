"""Pages in the browser over what the pipelines leave on disk."""
