"""How well sizes are told from rendered frames: networks with and without gates, beside simple predictors."""
