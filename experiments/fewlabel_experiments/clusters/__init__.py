"""What the two studies of clusterings share: images, clusterings, models and rows."""
