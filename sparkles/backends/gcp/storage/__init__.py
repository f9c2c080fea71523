"""The store's objects, and anybody's, in Cloud Storage: what `objects` and `buckets` are made of."""
