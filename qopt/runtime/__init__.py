"""ONNX files: measured operation by operation, cut into parts, shortened, quantized. onnx and onnxruntime stay here."""
