"""Inference on many machines, by Ray Data."""
