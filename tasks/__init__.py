"""What deepmine does: plain functions that know no framework. `ls tasks` reads as the pipeline."""
