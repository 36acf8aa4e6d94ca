"""The fifth family: many requests on shared servers and links."""
