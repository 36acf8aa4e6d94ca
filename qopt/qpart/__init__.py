"""How many bits for every layer, and where to cut a network between a device and a server."""
