"""Real-time scoring: an MLServer runtime around the recommender, its launcher, and what guards both."""
