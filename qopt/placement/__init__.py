"""Operators on tiers: what a placement costs, which strategy to take, and where the best one changes."""
