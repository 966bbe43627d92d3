"""Why a model says what it says: Shapley values on visits it was not trained on."""
