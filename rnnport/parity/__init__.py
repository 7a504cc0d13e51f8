"""Compare two executions: tolerances, checks, fresh inputs, the report."""
