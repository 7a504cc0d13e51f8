"""Keras 2 (tf_keras): what differs from Keras 3 in its layers, models and files."""
