"""Trained nets in the formats of other libraries: ONNX, safetensors.  No engine is needed."""
