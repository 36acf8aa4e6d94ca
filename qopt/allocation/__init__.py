"""Mixed precision: which format for which tensor within so many bytes; see docs/allocation.md."""
