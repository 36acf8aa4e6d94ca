"""Tables that people have, read as allocations: HAWQ's, the GGUF Tool Suite's, a sensitivity file, a CSV."""
