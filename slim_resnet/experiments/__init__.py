"""The post's first point, and data to try things on."""
