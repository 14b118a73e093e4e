"""research/slim's preparation of images."""
