"""The planner: which of the networks that fit are worth training."""
