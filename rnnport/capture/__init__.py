"""Opens a model and traces it with every recurrent layer intercepted; needs TensorFlow."""
