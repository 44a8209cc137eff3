"""How quickly the review page answers."""
