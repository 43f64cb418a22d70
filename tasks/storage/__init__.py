"""Stores of Parquet shards with their manifests, and what stands in them."""
