"""`lineshaft demo`: thousands of real jobs that measure the standard library of the Python that runs them."""
