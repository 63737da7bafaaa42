"""What every app stands on. It imports no app; a newcomer finds here what has no noun of the business."""
