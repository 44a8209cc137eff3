"""How classification scales: maps, workers, and where the time goes."""
