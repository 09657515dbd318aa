"""Circuit breakers: jobs leave a dependency alone while it fails."""
