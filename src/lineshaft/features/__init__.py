"""Features: each fills seams of `lineshaft.feature`, one folder a feature."""
