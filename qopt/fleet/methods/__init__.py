"""Methods for fleets."""
