"""The simulator: streams of requests through executing, communication and performance modules."""
