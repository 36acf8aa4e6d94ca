"""Methods for allocations, a file each."""
