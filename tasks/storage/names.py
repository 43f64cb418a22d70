"""Names of files and columns that stages leave for later ones."""

#: Small files that stages leave beside their data for later ones.
STATE, SUMMARY, HISTORY = "_state.json", "_summary.json", "history.json"

#: The store below a folder of miners that holds what they said of the held-out rows.
PREDICTIONS = "predictions"

#: The store beside it that holds association rules.
RULES = "rules"

#: Ends of the columns that stand beside a verdict's own.
BESIDE = (".score", ".probability", ".like", ".distance")

#: What these call the rows that a clusterer puts into no cluster.
NOISE = "noise"

#: What they call the rows that a detector holds to be unlike the train rows, and the others.
UNLIKE, USUAL = "unlike", "usual"
