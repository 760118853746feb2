"""Study A: k-means as the pre-step of semi-supervised learning, with 60,000 images."""
