"""`on_success` and `on_failure`: jobs that are enqueued in the transaction that ends another one."""

from lineshaft.features.followup.feature import FollowUpFeature

__all__ = ["FollowUpFeature"]
