"""What one worker does once for all of them: the leader, its duties, and the pruner among them."""

from lineshaft.leader.duties import duties_of
from lineshaft.leader.leader import Leader

__all__ = ["Leader", "duties_of"]
