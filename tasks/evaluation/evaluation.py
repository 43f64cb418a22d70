"""What `evaluate` writes: one dataclass, whose sections other modules of this room make."""

from dataclasses import dataclass
from typing import Any

from tasks.evaluation.analyses import Analyses, Groups
from tasks.evaluation.cluster_profiles import Profile
from tasks.evaluation.clusterings import Agreement
from tasks.evaluation.cross_validation import CrossValidation
from tasks.evaluation.fusion import Fusion
from tasks.evaluation.neighbours import LabelAgreement
from tasks.evaluation.novelty import Detector, DetectorAgreement
from tasks.evaluation.scorers import Difference
from tasks.storage.summaries import CalibratedOn


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What is known of a run by its test rows.

    Attributes:
        objective: what the network was trained for; ``aim`` what the miners learned.
        test_rows: how many there are; ``counts`` are the rows of every stage.
        verdict: what follows, in words.
        fusion: the approaches compared; ``titles`` are [approach, title] and ``best`` is the one that val rows favour.
        labels: classes of the test rows; ``positive`` the one of two that metrics are of.
        scores: prediction -> its metrics.
        confusion: approach -> rows of true classes by columns of predicted ones.
        figures: calibration, costs, slices and the like; None where nothing could be judged.
        groups: of the test rows, None where each row is one of its own.
        calibrated: prediction -> how its probabilities were calibrated.
        scatter, bands, steps, outputs: of numbers alone: some predictions, errors in bands of the true value and of each
            output, and how many outputs there are.
        clusters, cluster_pairs, agreement, profiles: as in `Clusterings`.
        counts_tried: clusterer -> what each number of clusters is worth, with a ``sentence``.
        neighbours, detectors, detector_pairs: prediction, or two of them -> what nearest rows and detectors say.
        chosen, skipped, rules, kernel_maps: as `mine` has them.
    """

    objective: str
    aim: str
    test_rows: int
    counts: dict[str, Any]
    verdict: str
    fusion: Fusion
    titles: list[tuple[str, str]]
    best: str | None
    labels: list[str]
    positive: str | None
    scores: dict[str, dict[str, Any]]
    confusion: dict[str, list[list[int]]]
    figures: Analyses | None
    groups: Groups | None
    calibrated: dict[str, CalibratedOn]
    scatter: dict[str, list[float]] | None = None
    bands: list[dict[str, Any]] | None = None
    steps: dict[str, list[float]] | None = None
    outputs: int | None = None
    clusters: dict[str, dict[str, Any]]
    cluster_pairs: dict[str, Difference]
    agreement: dict[str, Agreement]
    profiles: dict[str, list[Profile]]
    counts_tried: dict[str, dict[str, Any]]
    neighbours: dict[str, LabelAgreement]
    detectors: dict[str, Detector]
    detector_pairs: dict[str, DetectorAgreement]
    cross_validation: CrossValidation
    chosen: dict[str, dict[str, Any]]
    skipped: dict[str, str]
    rules: dict[str, dict[str, Any]]
    kernel_maps: dict[str, dict[str, Any]]
