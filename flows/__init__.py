"""When it happens: the only package that imports prefect or dvc."""
