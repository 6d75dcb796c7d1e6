"""From a lock to an environment that is proven to hold it."""
