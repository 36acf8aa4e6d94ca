"""A fourth family, as small as can be: pick one item within a budget. What a family must bring, and no more."""
