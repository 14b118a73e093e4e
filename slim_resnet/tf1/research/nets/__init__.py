"""research/slim's networks, as far as this package and tf_slim have them."""
