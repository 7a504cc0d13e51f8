"""Run an artifact: onnxruntime and NumPy, no TensorFlow."""
