"""Views of features, made from items."""
