"""MLflow's model validation, for figures held against limits."""

import logging
import math


def unmet(metric: str, value: float, limit: float, greater_is_better: bool) -> str | None:
    """What MLflow's validation says where a figure does not reach a limit, or None.

    Args:
        metric: Name of the figure.
        value: The figure; one that is not defined reaches no limit.
        limit: The limit.
        greater_is_better: Whether the figure must be at least the limit, else at most.
    """
    import mlflow
    from mlflow.models import MetricThreshold
    from mlflow.models.evaluation import EvaluationResult
    from mlflow.models.evaluation.validation import ModelValidationFailedException

    if not math.isfinite(value):
        return f"{metric} is not defined"
    logging.getLogger("mlflow.models.evaluation.validation").setLevel(logging.WARNING)
    threshold = MetricThreshold(threshold=float(limit), greater_is_better=greater_is_better)  # type: ignore[no-untyped-call]
    try:
        result = EvaluationResult({metric: float(value)}, {})  # type: ignore[no-untyped-call]
        mlflow.validate_evaluation_results({metric: threshold}, result)
    except ModelValidationFailedException as error:
        return str(error)
    return None
