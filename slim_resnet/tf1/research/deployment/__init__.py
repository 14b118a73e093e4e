"""research/slim's training on several devices."""
