"""What is learned: the one place that says what `objective: auto` comes to."""


def resolve(objective: str, labelled: bool) -> str:
    """``objective``; of `auto` classification, where there are labels, or else autoencoder."""
    if objective != "auto":
        return objective
    return "classification" if labelled else "autoencoder"
