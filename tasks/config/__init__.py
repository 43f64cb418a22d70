"""What params.yaml may hold, read and checked."""
