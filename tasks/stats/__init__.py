"""Statistics that know no data set: intervals, tests."""
