"""One page about a checkpoint."""
