"""From a trained torch network to a quantised ONNX file, and its accuracy there."""
