"""What all families share: data, reading, methods, certificates, limits, and running solvers. No family by name."""
