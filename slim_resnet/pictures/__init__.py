"""Pictures of networks, of what they see, and of measurements."""
