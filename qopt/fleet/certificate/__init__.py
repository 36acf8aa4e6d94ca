"""The certificate of a fleet's plan."""
