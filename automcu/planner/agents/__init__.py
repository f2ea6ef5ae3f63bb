"""Language-model agents that propose only what can run."""
