"""What a run leaves behind: the model, the run folder, its tables."""
