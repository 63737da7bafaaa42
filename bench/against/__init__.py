"""`make bench ARGS="--against COMMIT"`: what a charge costs at a commit and in this checkout, in turn."""
