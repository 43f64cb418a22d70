"""What `deepmine add` proposes for a source."""
