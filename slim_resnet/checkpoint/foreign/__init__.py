"""Weights in files of other programs, read for their arrays alone: nothing in them is run."""
