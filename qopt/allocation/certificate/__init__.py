"""What is true of a plan, from the problem and the plan alone."""
