"""What measures speed, memory and accuracy, each with its peer in the same run. See docs/benchmarks.md."""
