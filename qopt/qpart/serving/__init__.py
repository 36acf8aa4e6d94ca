"""QPART as a serving system: what can be worked out before a request comes, and what is left when it does."""
