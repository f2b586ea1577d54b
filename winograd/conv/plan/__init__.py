"""What a plan says: the choice, what it is predicted to cost, and why not another one."""
