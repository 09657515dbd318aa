"""The store: every operation on jobs, queues and workers, each one function on a transaction.

An operation takes an open transaction first, so that the same function serves our own connections and a
caller's ("enqueue inside my transaction"). Its SQL stands beside its module in both dialects.
"""
