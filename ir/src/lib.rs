//! What a network is: ONNX in and out, float graph, integer graph, text forms.
