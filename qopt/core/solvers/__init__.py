"""Running solvers of other people: HiGHS on arrays, and what Pyomo hands models to."""
