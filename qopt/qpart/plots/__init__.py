"""Pictures of requests, of serving them, and of the water level."""
