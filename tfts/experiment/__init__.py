"""What the commands do, step by step: one module for each kind of experiment."""
