"""What runs a folded network: a small file for each engine, and a table of them."""
