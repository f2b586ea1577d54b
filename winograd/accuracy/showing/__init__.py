"""What is shown of errors: studies, tables, Pareto fronts, the HTML report."""
