"""Why a job is where it is: reads what is known in one transaction, and says what holds the job."""

from lineshaft.app.why.explainer import Explainer

__all__ = ["Explainer"]
