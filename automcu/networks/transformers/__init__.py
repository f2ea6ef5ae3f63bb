"""Small vision transformers with ternary weights."""
