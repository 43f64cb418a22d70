"""The sections of the report, in the order of the page."""

from tasks.reporting import (
    clusters,
    components,
    confusion,
    cross_validation,
    examples,
    feature_map,
    fusion,
    leaks,
    neighbours,
    novelty,
    quality,
    reliability,
    rules,
    run_record,
    summary,
    training,
    trees,
)
from tasks.reporting.section import Section

SECTIONS = (
    Section("summary", "Summary", summary.build, "summary.html"),
    Section("leaks", "Leaks", leaks.build, "leaks.html"),
    Section("fusion", "Did fusion pay?", fusion.build, "fusion.html"),
    Section("cross-validation", "Cross-validation", cross_validation.build, "cross_validation.html"),
    Section("confusion", "Confusion", confusion.build, "confusion.html"),
    Section("reliability", "Reliability", reliability.build, "reliability.html"),
    Section("training", "Training", training.build, "training.html"),
    Section("clusters", "Clusters", clusters.build, "clusters.html"),
    Section("rules", "Rules", rules.build, "rules.html"),
    Section("map", "Map", feature_map.build, "feature_map.html"),
    Section("examples", "Examples", examples.build, "examples.html"),
    Section("neighbours", "Nearest neighbours", neighbours.build, "neighbours.html"),
    Section("novelty", "Outliers", novelty.build, "novelty.html"),
    Section("components", "Principal components", components.build, "components.html"),
    Section("trees", "Decision trees", trees.build, "trees.html"),
    Section("quality", "Data quality", quality.build, "quality.html"),
    Section("run", "Run record", run_record.build, "run_record.html"),
)
