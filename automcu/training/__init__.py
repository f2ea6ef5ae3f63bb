"""Training: recipe, loop with checkpoints, distillation, accuracy."""
