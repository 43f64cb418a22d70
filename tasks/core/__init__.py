"""What every room may use, and what knows no data: the machine's faults, its space."""
