"""Works on the skeleton: lowers each recurrent call to ONNX operators; knows no Keras."""
