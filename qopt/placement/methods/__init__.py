"""How it is solved: a file a method, and their registry."""
