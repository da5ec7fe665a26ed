"""A table becomes batches: read it, check it, split it, scale it, cut windows."""
