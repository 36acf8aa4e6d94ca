"""Model, bit-width, server and cut, epoch by epoch: what a plan costs, which limits can be met, and how it is drawn."""
