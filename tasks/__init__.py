"""What deepmine does: plain functions that know no framework. `ls tasks` reads as the pipeline."""

#: The verbs after `plan`, in the order of the pipeline.
STAGES = ("ingest", "validate", "clean", "train", "extract", "mine", "crossvalidate", "evaluate", "report")
