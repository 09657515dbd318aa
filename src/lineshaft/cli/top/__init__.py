"""`lineshaft top`: reads figures of bounded cost, turns them into a snapshot, and shows snapshots on a screen."""
