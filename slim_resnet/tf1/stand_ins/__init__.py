"""Small functions of our own where nothing kept has what TensorFlow 1's days had."""
