"""How one family feeds another: plain tables go across."""
