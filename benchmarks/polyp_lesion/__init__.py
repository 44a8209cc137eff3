"""How well lesions are found in real frames held out: from scratch, and after masked pretraining."""
