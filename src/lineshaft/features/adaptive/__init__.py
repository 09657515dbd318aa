"""Limits that learn: as many jobs run at once as what they use turns out to take."""
