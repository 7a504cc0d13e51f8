"""The folder on disk: manifest, ONNX files, golden samples; atomic save, checked load."""
