"""What predictions on held-out rows are worth, and what follows."""
