"""`lineshaft bench`: how fast a store takes jobs, and how fast one worker process runs them."""
